/** The row of btrfs in the detection table. @module */
import { isGranaryError } from '@granary/core'
import type { Detector } from '../../detect.ts'
import { WarningLog } from '../../warnings.ts'
import { bestSuperblock, openBtrfs } from './open.ts'

export const btrfs: Detector = {
  name: 'btrfs',
  async detect({ disk, signal }) {
    try {
      const sb = await bestSuperblock(disk, new WarningLog(), { signal })
      if (sb === undefined) return undefined
      const { uuid, label, devices } = sb
      return {
        kind: 'tree',
        content: 'btrfs',
        uuid,
        ...(label === '' ? {} : { label }),
        ...(devices > 1 ? { peerKey: `btrfs ${uuid}` } : {}),
        open: openBtrfs,
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (!isGranaryError(error)) throw error
      const reason = error.code === 'GRANARY_UNSUPPORTED' ? 'unsupported' : 'corrupt'
      return { kind: 'named', content: 'btrfs', whyNot: { reason, message: error.message } }
    }
  },
}
