import { formatChunker } from '@granary/chunker'
import { changeSettings } from '@granary/dedup-store'
import type { Command } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { SETTINGS_OPTIONS, settingsOf } from '../settings-options.ts'

export const settings: Command = {
  name: 'settings',
  summary: 'show what new objects are made with, or change it; what is stored stays readable',
  options: SETTINGS_OPTIONS,
  examples: ['granary settings', 'granary settings --suite serpent-256-ctr-blake3 --compression zstd:9'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const changes = settingsOf(invocation)
    await using repository = await openRepositoryOf(invocation)
    const chosen =
      Object.keys(changes).length === 0 ? repository.settings : await changeSettings(repository, changes, { signal })
    const { suite, compression } = chosen
    const chunker = formatChunker(chosen.chunker)
    terminal.emit({ type: 'settings', v: 1, suite, compression, chunker })
    terminal.say(`suite        ${suite}`)
    terminal.say(`compression  ${compression}`)
    terminal.say(`chunker      ${chunker}`)
    return 0
  },
}
