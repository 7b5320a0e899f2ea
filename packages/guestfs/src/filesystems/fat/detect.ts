/** The row of FAT12, FAT16 and FAT32 in the detection table. @module */
import type { Detector } from '../../detect.ts'
import { WarningLog } from '../../warnings.ts'
import { BOOT_SECTOR_BYTES, readBootSector } from './boot-sector.ts'
import { labelInRoot } from './directory.ts'
import { mountFat, openFat } from './open.ts'

export const fat: Detector = {
  name: 'vfat',
  async detect({ peek, disk, signal }) {
    const bytes = await peek(0, BOOT_SECTOR_BYTES)
    const geometry = bytes === undefined ? undefined : readBootSector(bytes)
    if (geometry === undefined) return undefined
    const mounted = await mountFat(disk, new WarningLog(), { signal })
    let label: string | undefined
    try {
      label = await labelInRoot(mounted, geometry.rootCluster, { signal })
    } catch {
      signal?.throwIfAborted() // A damaged root directory is told of when the tree is read.
    }
    label ??= geometry.label
    return {
      kind: 'tree',
      content: 'vfat',
      ...(label === '' ? {} : { label }),
      ...(geometry.uuid === '' ? {} : { uuid: geometry.uuid }),
      open: openFat,
    }
  },
}
