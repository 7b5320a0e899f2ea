/** Files of a guest to a folder, a tar stream or an ISO image. @module */
export { contentOfDisk } from './iso/content.ts'
export type { TreeEntriesOptions } from './iso/tree-entries.ts'
export { entriesOfTree } from './iso/tree-entries.ts'
export type { IsoContent, IsoEntry, IsoError } from './iso/entry.ts'
export type { IsoImage, IsoOptions } from './iso/image.ts'
export { planIso } from './iso/image.ts'
