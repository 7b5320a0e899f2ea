/** Makes a disk of 1 MiB in a storage domain, writes it, reads it, and removes it: what permissions and firewalls allow shows. @module */
import { randomBytes, randomUUID } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { closeDownload, openDownload } from '../backup/transfers.ts'
import type { TransferSettings } from '../backup/settings.ts'
import type { Engine } from '../engine/engine.ts'
import { addDisk, findDisk, removeDisk } from '../engine/resources/disks.ts'
import { actOnTransfer, addTransfer, findTransfer, isFinished, listTransfers } from '../engine/resources/transfers.ts'
import type { ImageTransfer } from '../engine/resources/transfers.ts'
import { waitFor } from '../engine/wait-for.ts'
import { openImageDisk } from '../imageio/image-disk.ts'
import { openImageUpload } from '../imageio/image-upload.ts'
import { factOf } from '../journal/entry.ts'
import type { Journal } from '../journal/journal.ts'
import type { Outcome, UndoContext } from '../clean/undo.ts'

const SIZE_BYTES = 1024 * 1024
const CONFLICT_TIMEOUT_MS = 60_000

export interface ProbeOptions extends AbortOptions {
  readonly engine: Engine
  readonly journal: Journal
  readonly settings: TransferSettings
  readonly storageDomainId: string
}

/** @throws what doesn't work; nothing is left behind, or it stays in the journal */
export const probeStorage = async (options: ProbeOptions): Promise<void> => {
  const { engine, journal } = options
  const id = randomUUID()
  const entry = await journal.begin('probe', engine.base, { disk: id })
  try {
    const content = new Uint8Array(randomBytes(SIZE_BYTES))
    await makeDisk(options, id)
    await upload(options, id, content)
    await compare(options, id, content)
  } finally {
    await removeProbe(engine, id, options.settings.transferFinalizeMs)
    await entry.end()
  }
}

const makeDisk = async ({ engine, storageDomainId, settings, signal }: ProbeOptions, id: string): Promise<void> => {
  const body = {
    id,
    alias: `granary-check-${id.slice(0, 8)}`,
    provisioned_size: SIZE_BYTES,
    format: 'cow',
    sparse: true,
    storage_domains: { storage_domain: [{ id: storageDomainId }] },
  }
  const find = async () => await engine.find(`/disks/${id}`, { signal })
  const disk = await addDisk(engine, body, { find, signal })
  if (disk.id !== id) {
    await removeDisk(engine, disk.id, { conflictTimeoutMs: CONFLICT_TIMEOUT_MS })
    throw new GranaryError('GRANARY_PROTOCOL', `asked for disk ${id}, the engine made ${disk.id}`)
  }
  await waitFor(async () => await findDisk(engine, id, { signal }), {
    clock: engine.clock,
    timeoutMs: settings.transferStartMs,
    what: 'the disk is made',
    isDone: found => found?.status === 'ok',
    describe: found => found?.status ?? 'gone',
    signal,
  })
}

const upload = async ({ engine, settings, signal }: ProbeOptions, id: string, content: Uint8Array): Promise<void> => {
  const body = {
    disk: { id },
    direction: 'upload',
    format: 'raw',
    inactivity_timeout: settings.transferInactivitySeconds,
    timeout_policy: 'cancel', // The disk is of no worth.
  }
  const find = async () => {
    const found = (await listTransfers(engine, { signal })).find(one => one.diskId === id && !isFinished(one))
    return found === undefined ? undefined : await engine.find(`/imagetransfers/${found.id}`, { signal })
  }
  const { id: transferId } = await addTransfer(engine, body, { find, signal })
  const wait = async (what: string, isDone: (phase: string) => boolean): Promise<ImageTransfer | undefined> =>
    await waitFor(async () => await findTransfer(engine, transferId, { signal }), {
      clock: engine.clock,
      timeoutMs: settings.transferFinalizeMs,
      what: `the upload is ${what}`,
      isDone: transfer => isDone(transfer?.phase ?? 'gone'),
      describe: transfer => transfer?.phase ?? 'gone',
      signal,
    })
  const transfer = await wait('transferring', phase => !['initializing', 'unknown'].includes(phase))
  {
    await using image = await openImageUpload({ ...(await urlsOf(engine, transfer)), signal })
    await image.write(0, content, { signal })
    await image.flush({ signal })
  }
  await actOnTransfer(engine, transferId, 'finalize', { signal })
  await wait('finished', phase => phase === 'gone' || phase.startsWith('finished'))
  const disk = await findDisk(engine, id, { signal })
  if (disk?.status === 'ok') return
  throw new GranaryError('GRANARY_REMOTE', `the disk is ${disk?.status ?? 'gone'} after the upload`)
}

const urlsOf = async (engine: Engine, transfer: ImageTransfer | undefined) => ({
  transferUrl: transfer?.transferUrl,
  proxyUrl: transfer?.proxyUrl,
  ca: await engine.imageioCa(),
  proxyCa: await engine.proxyCa(),
})

const compare = async (options: ProbeOptions, id: string, content: Uint8Array): Promise<void> => {
  const { engine, settings, signal } = options
  const opened = await openDownload(options, { vmId: '', diskId: id, settings, signal })
  try {
    await using image = await openImageDisk({ ...(await urlsOf(engine, opened.transfer)), signal })
    const found = new Uint8Array(image.sizeBytes)
    await image.read(0, found, { signal })
    if (Buffer.compare(found, content) === 0) return
    throw new GranaryError('GRANARY_CORRUPT', 'what was read is not what was written', {
      hint: 'do not trust this storage before you know why',
    })
  } finally {
    await closeDownload(engine, opened, { timeoutMs: settings.transferFinalizeMs })
  }
}

/** Transfers first; cancelling an upload removes its disk. */
const removeProbe = async (engine: Engine, id: string, timeoutMs: number): Promise<boolean> => {
  for (const transfer of (await listTransfers(engine)).filter(one => one.diskId === id && !isFinished(one)))
    await actOnTransfer(engine, transfer.id, 'cancel').catch(ignoreRefusal)
  await waitFor(async () => (await findDisk(engine, id))?.status, {
    clock: engine.clock,
    timeoutMs,
    what: 'the disk of the check is free',
    isDone: status => status !== 'locked',
  })
  return await removeDisk(engine, id, { conflictTimeoutMs: CONFLICT_TIMEOUT_MS })
}

const ignoreRefusal = (error: unknown): void => {
  if (!isGranaryError(error) || error.detail['status'] === undefined) throw error
}

/** The disk of a check that died. */
export const undoProbe = async ({ engine, entry, timeoutMs, isDry, signal }: UndoContext): Promise<Outcome> => {
  const id = factOf(entry.pending, 'disk') ?? ''
  const disk = await findDisk(engine, id, { signal })
  if (disk === undefined) return { kind: 'nothing', text: 'the disk of a check is gone' }
  if (!isDry) await removeProbe(engine, id, timeoutMs)
  return { kind: 'undone', text: `disk ${disk.alias} of a check is removed` }
}
