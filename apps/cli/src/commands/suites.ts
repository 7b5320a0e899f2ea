import { DEFAULT_SUITE, measureSuite, suites as table } from '@granary/transform'
import type { Command } from '../command.ts'
import { formatTable } from '../terminal/table.ts'

/** CPU time for each, seconds. */
const SECONDS = 0.04

export const suites: Command = {
  name: 'suites',
  summary: 'list the suites that can encrypt a repository: what each is for, and its speed on this machine',
  examples: ['granary suites', 'granary settings --suite twofish-256-ctr-blake3   # use one from now on'],
  async run({ terminal, signal }) {
    const rows: string[][] = []
    for (const suite of table) {
      signal.throwIfAborted()
      const { id, name, keyBytes, tagBytes, description } = suite
      const isDefault = name === DEFAULT_SUITE
      const megabytesPerSecond = measureSuite(suite, { seconds: SECONDS })
      terminal.emit({
        type: 'suite',
        v: 1,
        id,
        name,
        keyBits: keyBytes * 8,
        tagBits: tagBytes * 8,
        isDefault,
        megabytesPerSecond,
        description,
      })
      rows.push([name, String(megabytesPerSecond), description])
      await new Promise(resolve => setImmediate(resolve))
    }
    terminal.say(formatTable(['SUITE', 'MB/s', 'WHAT IT IS FOR'], rows, [1]))
    return 0
  },
}
