/** Begins a copy of a running VM: noted down first, ended whatever happens. @module */
import { beginFrozen } from './frozen-begin.ts'
import { endCopy } from './end-copy.ts'
import { keepThawing } from './guest-thaw.ts'
import type { Thawing } from './guest-thaw.ts'
import { notFrozen } from './host-copy.ts'
import type { Frozen, HostCopyOptions } from './host-copy.ts'
import type { OverlayIntent, PullIntent } from './intents.ts'
import { createScratchFolder } from './scratch.ts'
import type { UndoStack } from './undo-stack.ts'

const FREEZE_TIMEOUT_MS = 30_000

export interface CopyToBegin {
  readonly intent: PullIntent | OverlayIntent
  /** Puts into the folder of the intent, and onto the domain, what the command needs. Gives the command of virsh. */
  readonly prepare: () => Promise<readonly string[]>
}

/**
 * @param stack gets what ends the copy
 * @throws GranaryError `GRANARY_REMOTE` when libvirt refuses, or `requireConsistency` cannot be had
 */
export const beginCopy = async (
  options: HostCopyOptions,
  stack: UndoStack,
  { intent, prepare }: CopyToBegin,
): Promise<Frozen> => {
  const { libvirt, domain, journal, clock, onStep, signal } = options
  const { freezeTimeoutMs = FREEZE_TIMEOUT_MS, requireConsistency } = options
  onStep?.('intend')
  const settle = await journal.intend(intent, { signal })
  let thawing: Thawing | undefined
  stack.defer(async () => {
    onStep?.('end')
    await endCopy(libvirt, intent, { clock, thaw: async () => await thawing?.end() })
    onStep?.('settle')
    await settle()
  })
  await createScratchFolder(intent.folder)
  const begin = await prepare()
  signal?.throwIfAborted()
  onStep?.('begin')
  const { frozen, words, isThawed } = await beginFrozen(libvirt, {
    domain,
    begin,
    folder: intent.folder,
    freezeTimeoutMs,
  })
  if (!isThawed) thawing = keepThawing(libvirt, domain, clock)
  if (requireConsistency === true && frozen !== 'yes') throw notFrozen(domain, words)
  return frozen
}
