/** What the next start does with restores that broke off: those that can go on are told and left. @module */
import type { Undo, UndoContext, UndoTable } from '../clean/undo.ts'
import type { Outcome } from '../clean/undo.ts'
import { IN_PLACE_KIND } from '../backup/stale-checkpoints.ts'
import type { Journal } from '../journal/journal.ts'
import type { RestoreSettings } from './context.ts'
import { finishInPlace, inPlacePlanOf, releaseAll, restoreIdOf } from './in-place.ts'
import { RESTORE_KIND, RestoreState } from './restore-state.ts'
import { undoRestore } from './undo.ts'

export interface RestoreUndoOptions {
  readonly journal: Journal
  readonly settings: RestoreSettings
  /** `clean` asks for it: remove also what could be resumed. @default false */
  readonly removesResumable?: boolean
  /** Older ones are removed at any start. */
  readonly ageLimitMs: number
}

/** To be put beside the undo of backups. */
export const restoreUndo = (options: RestoreUndoOptions): UndoTable => ({
  [RESTORE_KIND]: undoMachine(options),
  [IN_PLACE_KIND]: undoInPlace(options),
})

const mayRemove = ({ entry, engine }: UndoContext, { removesResumable, ageLimitMs }: RestoreUndoOptions): boolean =>
  removesResumable === true || engine.clock.now() - entry.pending.timeMs > ageLimitMs

const undoMachine =
  (options: RestoreUndoOptions): Undo =>
  async (context): Promise<Outcome> => {
    const { engine, entry, isDry, signal } = context
    const state = new RestoreState(entry)
    const name = state.vmName ?? state.plan.machine.name
    if (state.hasData && !mayRemove(context, options)) {
      return {
        kind: 'left',
        text: `the restore of "${name}" broke off; what was uploaded is kept`,
        hint: `\`granary ovirt restore --resume ${state.id}\` goes on, \`granary ovirt clean\` removes it`,
      }
    }
    if (!isDry) await undoRestore(engine, state, { signal })
    return { kind: 'undone', text: `what the restore of "${name}" had made is removed` }
  }

/** Disks that were there before are never removed: their transfers are ended, and what they hold is told. */
const undoInPlace =
  (options: RestoreUndoOptions): Undo =>
  async (context): Promise<Outcome> => {
    const { engine, entry, isDry, signal } = context
    const { settings, journal } = options
    const { vmName, disks } = inPlacePlanOf(entry)
    if (entry.pending.facts['hasData'] !== true) {
      if (!isDry) await releaseAll(engine, entry, { settings, signal })
      return { kind: 'undone', text: `the disks of "${vmName}" are as they were, and free again` }
    }
    const isWhole = disks.every((_, index) => entry.pending.facts[`disk${index}.copied`] === true)
    if (!isWhole && !mayRemove(context, options)) {
      return {
        kind: 'left',
        text: `the restore of "${vmName}" in place broke off: its disks are mixed, part old, part restored`,
        hint: `do not start it; \`granary ovirt restore --resume ${restoreIdOf(entry)}\` goes on`,
      }
    }
    if (isDry) return { kind: 'undone', text: `the disks of "${vmName}" are freed` }
    const { isOver, warnings } = await finishInPlace(engine, journal, entry, { settings, signal })
    if (!isOver) return { kind: 'left', text: warnings.join('; ') }
    const text = isWhole
      ? `the restore of "${vmName}" in place is finished`
      : `the disks of "${vmName}" are free again, and mixed: part old, part restored`
    return { kind: 'undone', text: [text, ...warnings].join('; ') }
  }
