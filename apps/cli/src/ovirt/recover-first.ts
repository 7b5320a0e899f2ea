/** Every start puts away what runs that died left on the engine. @module */
import type { Engine, Journal, OvirtConfig, UndoTable } from '@granary/ovirt-adapter'
import type { Invocation } from '../command.ts'
import { loadAdapter } from './open-ovirt.ts'
import { describeRecovered, recoveredObject } from './recovered.ts'

/** How everything is undone that commands begin. */
export const undoTableOf = async (
  config: OvirtConfig,
  journal: Journal,
  { removesResumable }: { readonly removesResumable: boolean },
): Promise<UndoTable> => {
  const { BACKUP_UNDO, restoreUndo } = await loadAdapter()
  const { restoreAgeLimitMs: ageLimitMs } = config
  return { ...BACKUP_UNDO, ...restoreUndo({ journal, settings: config, removesResumable, ageLimitMs }) }
}

export const recoverFirst = async (
  { terminal, signal }: Invocation,
  config: OvirtConfig,
  { engine, journal }: { readonly engine: Engine; readonly journal: Journal },
): Promise<void> => {
  const { recover } = await loadAdapter()
  const undo = await undoTableOf(config, journal, { removesResumable: false })
  for (const recovered of await recover({ engine, journal, undo, signal })) {
    terminal.emit(recoveredObject(recovered))
    const text = describeRecovered(recovered)
    if (recovered.outcome.kind === 'failed') terminal.warn(text)
    else if (recovered.outcome.kind !== 'nothing') terminal.notice(text)
  }
}
