/** The row of ext2, ext3 and ext4 in the detection table. @module */
import { isGranaryError } from '@granary/core'
import type { Detector } from '../../detect.ts'
import { WarningLog } from '../../warnings.ts'
import { openExt } from './open.ts'
import { SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, isExt, readSuperblock } from './superblock.ts'

export const ext: Detector = {
  name: 'ext',
  async detect({ peek, disk }) {
    const bytes = await peek(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES)
    if (bytes === undefined || !isExt(bytes)) return undefined
    try {
      const { fileSystem, uuid, label } = readSuperblock(bytes, disk.sizeBytes, new WarningLog())
      return { kind: 'tree', content: fileSystem, uuid, ...(label === '' ? {} : { label }), open: openExt }
    } catch (error) {
      if (!isGranaryError(error)) throw error
      const reason = error.code === 'GRANARY_UNSUPPORTED' ? 'unsupported' : 'corrupt'
      return { kind: 'named', content: 'ext', whyNot: { reason, message: error.message } }
    }
  },
}
