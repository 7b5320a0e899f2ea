import { GranaryError } from '@granary/core'
import type { Command } from '../command.ts'
import { isGiven } from '../command.ts'
import { OVIRT_OPTIONS } from '../ovirt/ovirt-options.ts'
import { loadAdapter, openEngineOf, openJournalOf, readConfigOf } from '../ovirt/open-ovirt.ts'
import { VERSION } from '../version.ts'

const MARKS = { ok: 'ok', warning: 'WARNING', failed: 'FAILED', skipped: 'skipped' } as const

export const ovirtCheck: Command = {
  name: 'ovirt check',
  summary: 'see whether configuration, engine, hosts and storage are as backups need them',
  options: [
    { flags: '--deep', description: 'also make, write, read and remove a disk of 1 MiB in each storage domain' },
    ...OVIRT_OPTIONS,
  ],
  examples: ['granary ovirt check --config /etc/granary/ovirt.toml', 'granary ovirt check --deep'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const config = await readConfigOf(invocation)
    const { checkPlatform } = await loadAdapter()
    await using engine = await openEngineOf(invocation, config)
    await using journal = await openJournalOf(config)
    terminal.say(`granary ${VERSION}`)
    let failed = 0
    const isDeep = isGiven(invocation, 'deep')
    for await (const { name, status, text, hint, detail } of checkPlatform({
      engine,
      config,
      journal,
      isDeep,
      signal,
    })) {
      terminal.emit({
        type: 'check',
        v: 1,
        name,
        status,
        text,
        ...(hint === undefined ? {} : { hint }),
        ...(detail === undefined ? {} : { detail }),
      })
      terminal.say(`${MARKS[status].padEnd(8)} ${name}: ${text}`)
      if (hint !== undefined) terminal.say(`${' '.repeat(9)}${hint}`)
      if (status === 'warning') terminal.warn(`${name}: ${text}`, { check: name })
      if (status === 'failed') failed++
    }
    if (failed === 0) return terminal.warnings > 0 ? 3 : 0
    throw new GranaryError('GRANARY_REMOTE', `${failed} ${failed === 1 ? 'check' : 'checks'} failed`, {
      detail: { failed },
      hint: 'what to do about each stands below it',
    })
  },
}
