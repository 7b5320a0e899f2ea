/** A deduplicating, encrypted repository of disks. @module */
export type { Backend, GetOptions, ObjectInfo, PutOptions, PutSource } from './backends/backend.ts'
export type { FileBackendOptions } from './backends/file.ts'
export { fileBackend } from './backends/file.ts'
export type { FileKind, FileStat, FileSystemPort, FolderEntry, OpenFile } from './backends/file-system-port.ts'
export { openBackend } from './backends/index.ts'
export { memoryBackend } from './backends/memory.ts'
export { nodeFileSystem } from './backends/node-file-system.ts'
