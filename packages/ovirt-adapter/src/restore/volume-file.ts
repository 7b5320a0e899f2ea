/**
 * A volume of the platform as a file that grows: a qcow2 image is written into it where it will stay, without a copy on the way.
 * What an image expects to be zero behind its end is made so, since a block volume holds what was there before.
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import type { WritableFile } from '@granary/qcow2'

export interface VolumeFile extends WritableFile {
  /** Makes the rest of the last cluster zero; durable when it resolves. */
  finish(): Promise<void>
}

const CLUSTER_BYTES = 65_536

/** @throws GranaryError `GRANARY_NO_SPACE` from `write` and `truncate` when the volume is too small */
export const volumeFile = (volume: DiskReader & DiskWriter): VolumeFile => {
  let sizeBytes = 0
  const grow = async (endBytes: number, gapEndBytes: number): Promise<void> => {
    if (endBytes > volume.sizeBytes)
      throw new GranaryError(
        'GRANARY_NO_SPACE',
        `the volume has ${volume.sizeBytes} bytes, the image needs ${endBytes}`,
        {
          detail: { sizeBytes: volume.sizeBytes, neededBytes: endBytes },
        },
      )
    if (gapEndBytes > sizeBytes) await volume.zero(sizeBytes, gapEndBytes - sizeBytes)
    sizeBytes = Math.max(sizeBytes, endBytes)
  }
  return {
    get sizeBytes() {
      return sizeBytes
    },
    read: async (offset, target) => await volume.read(offset, target),
    async write(offset, bytes) {
      await grow(offset + bytes.length, offset)
      await volume.write(offset, bytes)
    },
    async truncate(size) {
      if (size > sizeBytes) await grow(size, size)
      else sizeBytes = size
    },
    flush: async () => await volume.flush(),
    async finish() {
      const endBytes = Math.min(Math.ceil(sizeBytes / CLUSTER_BYTES) * CLUSTER_BYTES, volume.sizeBytes)
      await grow(endBytes, endBytes)
      await volume.flush()
    },
  }
}
