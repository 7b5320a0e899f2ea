/** The row of NTFS in the detection table. @module */
import { isGranaryError } from '@granary/core'
import type { Detector } from '../../detect.ts'
import { WarningLog } from '../../warnings.ts'
import { isNtfs, readBootSector } from './boot-sector.ts'
import { mountNtfs, openNtfs, volumeLabel } from './open.ts'

export const ntfs: Detector = {
  name: 'ntfs',
  async detect({ peek, disk, signal }) {
    const bytes = await peek(0, 512)
    if (bytes === undefined || !isNtfs(bytes)) return undefined
    try {
      const { uuid } = readBootSector(bytes)
      const label = await volumeLabel(await mountNtfs(disk, new WarningLog(), { signal }), { signal })
      return { kind: 'tree', content: 'ntfs', uuid, ...(label === '' ? {} : { label }), open: openNtfs }
    } catch (error) {
      signal?.throwIfAborted()
      if (!isGranaryError(error)) throw error
      return { kind: 'named', content: 'ntfs', whyNot: { reason: 'corrupt', message: error.message } }
    }
  },
}
