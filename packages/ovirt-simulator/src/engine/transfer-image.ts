/** What a transfer moves: the image behind its ticket (CONTRACT §5.1). @module */
import { join } from 'node:path'
import type { Bytes, DiskReader, DiskWriter } from '@granary/core'
import { GranaryError } from '@granary/core'
import type { ImageBackend } from '../imageio/backend.ts'
import { writeBackDisk } from '../imageio/write-back-disk.ts'
import type { WriteBackDisk } from '../imageio/write-back-disk.ts'
import type { BackupDisk, Disk, Transfer } from '../model/state.ts'
import type { World } from '../model/world.ts'
import type { SimulatedDisk } from '../volumes/simulated-disk.ts'
import { receiveQcow2, storeAsQcow2 } from '../volumes/stored-volume.ts'
import type { UploadedImage } from '../volumes/stored-volume.ts'

/** A ready image. It outlives its tickets: a transfer may be paused and resumed. */
export interface TransferImage {
  readonly sizeBytes: number
  readonly isDirty: boolean
  /** For one ticket, whose end closes it. Uploads come with the cache of their host. */
  open(): ImageBackend & { readonly cache?: WriteBackDisk }
  /** What happens to an upload before it counts. */
  verify(): Promise<void>
  close(): Promise<void>
}

export interface ImageSource {
  readonly transfer: Transfer
  readonly disk: Disk
  readonly image: SimulatedDisk
  /** For a disk of a backup. */
  readonly part?: BackupDisk
}

/** Room for the tables of a qcow2 image over its data. */
const QCOW2_OVERHEAD = 1.02
const QCOW2_MIN_OVERHEAD_BYTES = 1024 ** 2

/** @throws GranaryError when what it needs is gone */
export const openTransferImage = async (world: World, source: ImageSource): Promise<TransferImage> => {
  const { transfer, disk, image } = source
  if (transfer.backupId !== undefined) return backupImage(world, source)
  const isFile = transfer.format !== 'raw' || transfer.isFile
  if (transfer.direction === 'upload')
    return isFile && disk.config['format'] === 'cow' ? await cowUpload(world, source) : plainUpload(image, isFile)
  if (isFile && disk.config['format'] === 'cow') return await cowDownload(world, source)
  return download(readerOf(transfer, image), isFile ? 'file' : 'nbd')
}

const nothing = async (): Promise<void> => undefined

const download = (disk: DiskReader, kind: ImageBackend['kind'], isDirty = false): TransferImage => ({
  sizeBytes: disk.sizeBytes,
  isDirty,
  open: () => ({ disk: staysOpen(disk), kind }),
  verify: nothing,
  close: nothing,
})

/** The end of a ticket does not close what is behind it. */
const staysOpen = <D extends DiskReader>(disk: D): D =>
  new Proxy(disk, {
    get(target, name) {
      if (name === Symbol.asyncDispose) return nothing
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value
    },
  })

const cached = (disk: DiskReader & DiskWriter, kind: ImageBackend['kind']): ReturnType<TransferImage['open']> => {
  const cache = writeBackDisk(staysOpen(disk))
  return { disk: cache, kind, cache }
}

const readerOf = ({ snapshotVolumeId, isShallow }: Transfer, image: SimulatedDisk): DiskReader => {
  if (snapshotVolumeId === undefined) {
    const top = image.volumes.at(-1)
    return isShallow && top !== undefined ? image.openVolume(top.volumeId) : image.open()
  }
  return isShallow ? image.openVolume(snapshotVolumeId) : image.openSnapshot(snapshotVolumeId)
}

/** The frozen content, for as long as the process that serves it lives. */
const backupImage = (world: World, { transfer, part }: ImageSource): TransferImage => {
  const frozen = part?.frozen
  if (frozen === undefined) throw new GranaryError('GRANARY_NOT_FOUND', 'the backup has no such disk')
  const backup = [...world.vms.values()].flatMap(vm => vm.backups.get(transfer.backupId ?? '') ?? [])[0]
  const alive = (): void => {
    if (backup === undefined || backup.isBroken)
      throw new GranaryError('GRANARY_IO', 'the server of the backup is gone')
  }
  const disk: DiskReader = {
    sizeBytes: frozen.sizeBytes,
    blockBytes: frozen.blockBytes,
    async read(offset, target: Bytes, options) {
      alive()
      await world.moments.reach({
        name: 'backup-read',
        vmId: transfer.vmId,
        diskId: transfer.diskId,
        backupId: transfer.backupId,
        transferId: transfer.id,
      })
      await frozen.read(offset, target, options)
    },
    async *extents(options) {
      alive()
      yield* frozen.extents(options)
    },
    [Symbol.asyncDispose]: nothing,
  }
  return download(disk, 'nbd', frozen.hasDirty)
}

const plainUpload = (image: SimulatedDisk, isFile: boolean): TransferImage => ({
  sizeBytes: image.sizeBytes,
  isDirty: false,
  open: () => cached(image.open(), isFile ? 'file' : 'nbd'),
  verify: nothing,
  close: nothing,
})

/** The bytes of a qcow2 image, as the volume would hold them. */
const cowDownload = async (world: World, { transfer, image }: ImageSource): Promise<TransferImage> => {
  const layers = image.volumes
  const volumeId = transfer.snapshotVolumeId ?? layers.at(-1)?.volumeId ?? ''
  const below = layers[layers.findIndex(layer => layer.volumeId === volumeId) - 1]
  const stored = await storeAsQcow2(image.openVolume(volumeId), {
    path: join(world.folder, `${transfer.id}.qcow2`),
    ...(below !== undefined && { backing: { name: below.volumeId, format: below.format } }),
  })
  return { ...download(stored, 'file'), close: async () => await stored[Symbol.asyncDispose]() }
}

const cowUpload = async (world: World, { transfer, image }: ImageSource): Promise<TransferImage> => {
  const sizeBytes = Math.ceil((image.sizeBytes * QCOW2_OVERHEAD + QCOW2_MIN_OVERHEAD_BYTES) / 512) * 512
  const received: UploadedImage = await receiveQcow2(join(world.folder, `${transfer.id}.upload`), sizeBytes)
  return {
    sizeBytes,
    isDirty: false,
    open: () => cached(received.file, 'file'),
    async verify() {
      await received.commit(image.open() as DiskReader & DiskWriter)
    },
    async close() {
      await received[Symbol.asyncDispose]()
    },
  }
}
