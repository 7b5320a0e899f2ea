/** Which volume a manifest speaks of, and how it is to be compared. @module */
import type { CodePage, OpenTreeOptions, Volume } from '../../src/index.ts'
import type { ManifestVolume, Rules } from './manifest.ts'

export const findVolume = (volumes: readonly Volume[], { source }: ManifestVolume): Volume | undefined =>
  volumes.find(volume => {
    if (source.lv !== undefined) return volume.source.lv === source.lv
    if (source.md !== undefined) return volume.source.md === source.md
    if (source.partition !== undefined)
      return volume.source.partition === source.partition && volume.kind === 'partition'
    return volume.kind === 'whole' && volume.source.disks[0] === (source.disk ?? source.disks?.[0])
  })

export const rulesOf = ({ content }: Volume, { note = '' }: ManifestVolume): Rules => {
  if (content === 'ntfs') return 'ntfs'
  if (content !== 'vfat' && content !== 'exfat') return 'unix'
  return note.includes('mtools') || content === undefined ? 'fat-by-mtools' : 'fat'
}

export const codePageOf = ({ codepage }: ManifestVolume): OpenTreeOptions =>
  codepage === undefined ? {} : { codePage: `cp${codepage}` as CodePage }
