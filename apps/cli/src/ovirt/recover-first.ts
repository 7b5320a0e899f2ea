/** Every start puts away what runs that died left on the engine. @module */
import type { Engine, Journal } from '@granary/ovirt-adapter'
import type { Invocation } from '../command.ts'
import { loadAdapter } from './open-ovirt.ts'
import { describeRecovered, recoveredObject } from './recovered.ts'

export const recoverFirst = async (
  { terminal, signal }: Invocation,
  engine: Engine,
  journal: Journal,
): Promise<void> => {
  const { recover } = await loadAdapter()
  for (const recovered of await recover({ engine, journal, signal })) {
    terminal.emit(recoveredObject(recovered))
    const text = describeRecovered(recovered)
    if (recovered.outcome.kind === 'failed') terminal.warn(text)
    else if (recovered.outcome.kind !== 'nothing') terminal.notice(text)
  }
}
