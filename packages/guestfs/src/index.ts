/** Guest volumes and file systems, read without mounting. @module */
export type { OpenVolumesOptions } from './open-volumes.ts'
export { openVolumes } from './open-volumes.ts'
export type { Argon2, BlockCiphers, KeyedBlockCipher, UnlockKey, UnlockOptions } from './unlock.ts'
export type { CodePage, OpenTreeOptions, Volume, VolumeKind, VolumeSet, VolumeSource, WhyNot } from './volume.ts'
export type {
  Entry,
  FileNode,
  FileTree,
  FileType,
  LookupOptions,
  OpenFileOptions,
  Stat,
  StreamInfo,
  SubvolumeInfo,
  WalkItem,
  WalkOptions,
  Xattr,
} from './tree.ts'
export type { Guest } from './guest/open-guest.ts'
export { openGuest } from './guest/open-guest.ts'
export type { GuestOs } from './guest/guess-os.ts'
export { guessOs } from './guest/guess-os.ts'
export type { Name } from './format/names.ts'
export { bytesOfName, joinPath, nameOfBytes, splitPath } from './format/names.ts'
export { resolvePath } from './resolve-path.ts'
export type { Warning } from './warnings.ts'
