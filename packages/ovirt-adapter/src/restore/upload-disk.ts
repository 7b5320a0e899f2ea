/** Step 4: a disk is made, filled and ended. Whatever breaks on the way, it goes on from the last acknowledged flush. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { ReadableSource, RestoreContext } from './context.ts'
import { ensureDisk } from './create-disk.ts'
import { fillDisk } from './fill-disk.ts'
import type { PlannedDisk } from './plan.ts'
import type { RestoreState } from './restore-state.ts'
import { finalizeUpload, pauseUpload } from './upload-transfer.ts'

/** A disk that the engine rejects twice is rejected again. */
const MOST_DISKS = 2

/** @throws GranaryError when nothing has moved for `uploadStallMs`, or the engine rejects the disk */
export const ensureUploaded = async (
  context: RestoreContext,
  state: RestoreState,
  source: ReadableSource,
  index: number,
  { signal }: AbortOptions,
): Promise<void> => {
  const { engine, settings } = context
  const { name, alias } = state.plan.disks[index] as PlannedDisk
  for (let disks = 1; !state.disk(index).isUploaded; disks++) {
    const diskId = await ensureDisk(context, state, index, { signal })
    if (!state.disk(index).isFinalizing) {
      await using reader = await source.openDisk(name, { signal })
      await fillDisk(context, { ...jobOf(state, index), diskId, reader }, { signal })
      await state.learnDisk(index, { finalizing: true })
    }
    const { transferId = '' } = state.disk(index)
    const end = await finalizeUpload(engine, { transferId, diskId }, { settings, signal })
    if (end.kind === 'uploaded') await state.learnDisk(index, { uploaded: true })
    else if (disks < MOST_DISKS) await state.learnDisk(index, { finalizing: false, watermark: 0, transfer: '' })
    else throw rejected(alias, end.phase)
  }
}

const jobOf = (state: RestoreState, index: number): Omit<Parameters<typeof fillDisk>[1], 'diskId' | 'reader'> => {
  const { alias, isSparse, format, sizeBytes } = state.plan.disks[index] as PlannedDisk
  const { uploadMechanism } = state.plan
  return {
    alias,
    foreign: [],
    mechanism: uploadMechanism,
    ...(uploadMechanism === 'file' && format === 'cow' ? { qcow2Bytes: sizeBytes } : {}),
    readsZero: isSparse,
    differencesOnly: false,
    state: () => state.disk(index),
    learnTransfer: async transfer => await state.learnDisk(index, { transfer }),
    learnWatermark: async watermark => await state.learnDisk(index, { watermark }),
    async onWrite() {
      if (!state.hasData) await state.learn({ hasData: true })
    },
  }
}

const rejected = (alias: string, phase: string): GranaryError =>
  new GranaryError('GRANARY_REMOTE', `the engine has rejected disk "${alias}" after its upload: ${phase}`, {
    detail: { disk: alias, phase },
    hint: "the engine's events say why; its disk is removed",
  })

/** After a break: uploads that are open are left where they are. A failure is no harm, they pause by themselves. */
export const pauseUploads = async ({ engine }: RestoreContext, state: RestoreState): Promise<void> => {
  for (const index of state.plan.disks.keys()) {
    const { transferId, isUploaded, isFinalizing } = state.disk(index)
    if (transferId !== undefined && !isUploaded && !isFinalizing)
      await pauseUpload(engine, transferId).catch(() => undefined)
  }
}
