import type { Recovered } from '@granary/ovirt-adapter'
import type { Command } from '../command.ts'
import { isGiven } from '../command.ts'
import { OVIRT_OPTIONS } from '../ovirt/ovirt-options.ts'
import { loadAdapter, openEngineOf, openJournalOf, readConfigOf } from '../ovirt/open-ovirt.ts'
import { undoTableOf } from '../ovirt/recover-first.ts'
import { describeRecovered, recoveredObject } from '../ovirt/recovered.ts'

export const ovirtClean: Command = {
  name: 'ovirt clean',
  summary: 'show what runs that died left on the engine; with --yes, put it away',
  options: [
    { flags: '--yes', description: "end and remove what is ours; what may be others' is only shown" },
    ...OVIRT_OPTIONS,
  ],
  examples: ['granary ovirt clean --config /etc/granary/ovirt.toml', 'granary ovirt clean --yes'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const isDry = !isGiven(invocation, 'yes')
    const config = await readConfigOf(invocation)
    await using engine = await openEngineOf(invocation, config)
    await using journal = await openJournalOf(config)
    const { recover } = await loadAdapter()
    const undo = await undoTableOf(config, journal, { removesResumable: true })
    const all = await recover({ engine, journal, undo, isDry, signal })
    for (const recovered of all) {
      terminal.emit(recoveredObject(recovered))
      const text = describeRecovered(recovered)
      if (recovered.outcome.kind === 'failed') terminal.warn(text)
      else terminal.say(text)
    }
    const count = (kind: Recovered['outcome']['kind']): number =>
      all.filter(({ outcome }) => outcome.kind === kind).length
    const [undone, left] = [count('undone'), count('left')]
    if (all.length === 0) terminal.say('nothing is left on the engine')
    else if (isDry) terminal.say(`${undone} to put away, ${left} left alone: --yes does it`)
    else terminal.say(`${undone} put away, ${left} left alone`)
    return terminal.warnings > 0 ? 3 : 0
  },
}
