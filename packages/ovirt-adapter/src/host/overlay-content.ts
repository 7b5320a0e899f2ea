/** Whether an overlay still holds what its base does not. @module */
import { isGranaryError } from '@granary/core'
import { openQcow2File } from '@granary/qcow2'
import type { OverlayDisk } from './intents.ts'
import { runProgram } from './run-program.ts'
import { openVolume } from './volume.ts'

const PIECE_BYTES = 1024 * 1024

/**
 * True when nobody uses the overlay and all that it holds stands in its base, byte for byte: it was committed, and whoever
 * deletes it loses nothing. False in any doubt, such as a base that cannot be read.
 */
export const isInBase = async ({ overlay, base, format }: OverlayDisk): Promise<boolean> => {
  try {
    return !(await isInUse(overlay)) && (await isContained(overlay, base, format))
  } catch (error) {
    if (isGranaryError(error)) return false
    throw error
  }
}

/** QEMU locks images it writes to, on other hosts too where the file system does locks; qemu-img refuses such an image. */
const isInUse = async (overlay: string): Promise<boolean> =>
  (await runProgram(['qemu-img', 'info', '-f', 'qcow2', overlay])).code !== 0

const isContained = async (overlay: string, base: string, format: string): Promise<boolean> => {
  await using below = await openVolume(base, format)
  await using whole = await openQcow2File(overlay, { backingDisk: await openVolume(base, format) })
  if (whole.sizeBytes !== below.sizeBytes) return false
  const [ours, theirs] = [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)]
  for await (const { offset, length, depth, present } of whole.extents()) {
    if (depth !== 0 || present !== true) continue
    for (let at = offset; at < offset + length; at += PIECE_BYTES) {
      const piece = Math.min(PIECE_BYTES, offset + length - at)
      await whole.read(at, ours.subarray(0, piece))
      await below.read(at, theirs.subarray(0, piece))
      if (Buffer.compare(ours.subarray(0, piece), theirs.subarray(0, piece)) !== 0) return false
    }
  }
  return true
}
