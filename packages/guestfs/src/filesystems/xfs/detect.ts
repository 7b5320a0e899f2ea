/** The row of XFS in the detection table. @module */
import { isGranaryError } from '@granary/core'
import type { Detector } from '../../detect.ts'
import { WarningLog } from '../../warnings.ts'
import { openXfs } from './open.ts'
import { SUPERBLOCK_BYTES, isXfs, readSuperblock } from './superblock.ts'

export const xfs: Detector = {
  name: 'xfs',
  async detect({ peek, disk }) {
    const bytes = await peek(0, SUPERBLOCK_BYTES)
    if (bytes === undefined || !isXfs(bytes)) return undefined
    try {
      const { uuid, label } = readSuperblock(bytes, disk.sizeBytes, new WarningLog())
      return { kind: 'tree', content: 'xfs', uuid, ...(label === '' ? {} : { label }), open: openXfs }
    } catch (error) {
      if (!isGranaryError(error)) throw error
      const reason = error.code === 'GRANARY_UNSUPPORTED' ? 'unsupported' : 'corrupt'
      return { kind: 'named', content: 'xfs', whyNot: { reason, message: error.message } }
    }
  },
}
