/** What runs that died left on an engine, for people and programs. @module */
import type { Recovered } from '@granary/ovirt-adapter'

/** What `--json` prints of it; fields are only ever added. */
export const recoveredObject = ({ entry, outcome }: Recovered): object => ({
  type: 'recovered',
  v: 1,
  kind: entry.kind,
  outcome: outcome.kind,
  text: outcome.text,
  run: entry.run,
  time: new Date(entry.timeMs).toISOString(),
  facts: entry.facts,
})

export const describeRecovered = ({ entry, outcome }: Recovered): string => {
  const hint = 'hint' in outcome && outcome.hint !== undefined ? ` (${outcome.hint})` : ''
  return `left by a run of ${new Date(entry.timeMs).toISOString()}: ${outcome.text}${hint}`
}
