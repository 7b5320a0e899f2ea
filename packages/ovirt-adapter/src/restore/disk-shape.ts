/**
 * What a disk becomes on its new storage. Kept if the target allows it: cow and preallocated only with the incremental flag, raw
 * never with it, raw and sparse not on block storage.
 *
 * @see docs/ovirt-restore.md, "Shapes of disks"
 * @module
 */

export interface DiskShape {
  readonly format: 'cow' | 'raw'
  readonly isSparse: boolean
  readonly isIncremental: boolean
}

export const diskShape = (
  { format, isSparse, isIncremental }: DiskShape,
  { isBlock, preallocates }: { readonly isBlock: boolean; readonly preallocates: boolean },
): { readonly shape: DiskShape; /** What changed, in words. */ readonly note?: string } => {
  if (format === 'cow') {
    if (isSparse || isIncremental) return { shape: { format, isSparse, isIncremental } }
    return {
      shape: { format, isSparse: true, isIncremental },
      note: 'preallocated qcow2 without incremental backup is not made any more; it becomes thin',
    }
  }
  if (!isSparse || !isBlock) return { shape: { format, isSparse, isIncremental: false } }
  return preallocates
    ? {
        shape: { format, isSparse: false, isIncremental: false },
        note: 'block storage has no thin raw disks; it becomes preallocated',
      }
    : {
        shape: { format: 'cow', isSparse: true, isIncremental },
        note: 'block storage has no thin raw disks; it becomes thin qcow2',
      }
}
