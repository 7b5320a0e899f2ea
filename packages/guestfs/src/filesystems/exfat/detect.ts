/** The row of exFAT in the detection table. @module */
import { isGranaryError } from '@granary/core'
import type { Detector } from '../../detect.ts'
import { WarningLog } from '../../warnings.ts'
import { BOOT_SECTOR_BYTES, isExfat } from './boot-sector.ts'
import { readLabel } from './directory.ts'
import { mountExfat, openExfat } from './open.ts'

export const exfat: Detector = {
  name: 'exfat',
  async detect({ peek, disk, signal }) {
    const bytes = await peek(0, BOOT_SECTOR_BYTES)
    if (bytes === undefined || !isExfat(bytes)) return undefined
    try {
      const { geometry, heap, root, warnings } = await mountExfat(disk, new WarningLog(), { signal })
      const label = await readLabel(heap, root, warnings, { signal })
      return {
        kind: 'tree',
        content: 'exfat',
        uuid: geometry.uuid,
        ...(label === '' ? {} : { label }),
        open: openExfat,
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (!isGranaryError(error)) throw error
      return { kind: 'named', content: 'exfat', whyNot: { reason: 'corrupt', message: error.message } }
    }
  },
}
