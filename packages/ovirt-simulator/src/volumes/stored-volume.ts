/**
 * Volumes as their files hold them: what a transfer without `format: raw` moves. A raw volume is its bytes; a cow volume
 * is a qcow2 image, made from the layer when it is asked for, and taken apart when one was uploaded. §5.1
 *
 * @module
 */
import { unlink } from 'node:fs/promises'
import { copyDisk, createRawDisk, openRawReader } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import { createFile, createQcow2, openFileToRead, openQcow2, openQcow2Writer } from '@granary/qcow2'

export interface StoreOptions {
  /** The image is made here, and removed when what is given back is disposed of. */
  readonly path: string
  /** Volume that lies below, if any: named as the backing file. */
  readonly backing?: { readonly name: string; readonly format: 'raw' | 'cow' } | undefined
}

/** A layer as the bytes of a qcow2 image. */
export const storeAsQcow2 = async (layer: DiskReader, { path, backing }: StoreOptions): Promise<DiskReader> => {
  const file = await createFile(path)
  const named =
    backing === undefined
      ? {}
      : { backing: { name: backing.name, format: backing.format === 'cow' ? ('qcow2' as const) : ('raw' as const) } }
  await createQcow2(file, { sizeBytes: layer.sizeBytes, ...named })
  const image = await openQcow2Writer(file, { workers: 0, ...(backing === undefined ? {} : { backingDisk: layer }) })
  for await (const { offset, length, kind, present } of layer.extents()) {
    if (kind === 'data') await copyRange(layer, image, offset, length)
    else if (present === true) await image.zero(offset, length)
  }
  await image.flush()
  await image[Symbol.asyncDispose]()
  return removedWhenClosed(await openRawReader(path), path)
}

const COPY_BYTES = 4 * 1024 * 1024

const copyRange = async (from: DiskReader, to: DiskWriter, offset: number, length: number): Promise<void> => {
  const buffer = new Uint8Array(Math.min(COPY_BYTES, length))
  for (let at = offset; at < offset + length; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, offset + length - at))
    await from.read(at, part)
    await to.write(at, part)
  }
}

const removedWhenClosed = (disk: DiskReader, path: string): DiskReader => {
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await disk[Symbol.asyncDispose]()
    await unlink(path)
  }
  return { ...disk, [Symbol.asyncDispose]: async () => await (closing ??= close()) }
}

/** An upload of a qcow2 image under way. */
export interface UploadedImage {
  /** The bytes of the image as they arrive. */
  readonly file: DiskReader & DiskWriter
  /**
   * Verifies the image as the engine does, and puts what it holds on the disk.
   *
   * @throws GranaryError `GRANARY_CORRUPT` for what is no sound image, `GRANARY_UNSUPPORTED` when it names other files, `GRANARY_SIZE` when it is larger than the disk
   */
  commit(disk: DiskWriter): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Takes an upload of the bytes of a qcow2 image. @param path where they are kept until it is disposed of */
export const receiveQcow2 = async (path: string, fileBytes: number): Promise<UploadedImage> => {
  const file = await createRawDisk(path, fileBytes)
  return {
    file,
    async commit(disk) {
      // Without a way to resolve references an image that names a backing or data file is refused: VerifyUntrustedVolume, §5.4.
      const image = await openQcow2(await openFileToRead(path), { workers: 0 })
      try {
        await copyDisk(image, disk)
      } finally {
        await image[Symbol.asyncDispose]()
      }
    },
    async [Symbol.asyncDispose]() {
      await file[Symbol.asyncDispose]()
      await unlink(path)
    },
  }
}
