/** Guest volumes and file systems, read without mounting. @module */
export { openVolumes } from './open-volumes.ts'
export type { CodePage, OpenTreeOptions, Volume, VolumeKind, VolumeSet, VolumeSource, WhyNot } from './volume.ts'
export type {
  Entry,
  FileNode,
  FileTree,
  FileType,
  OpenFileOptions,
  Stat,
  StreamInfo,
  WalkItem,
  WalkOptions,
  Xattr,
} from './tree.ts'
export type { Name } from './format/names.ts'
export { bytesOfName, joinPath, splitPath } from './format/names.ts'
export type { Warning } from './warnings.ts'
