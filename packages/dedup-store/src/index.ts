/** A deduplicating, encrypted repository of disks. @module */
export type { Backend, GetOptions, ObjectInfo, PutOptions, PutSource } from './backends/backend.ts'
export { memoryBackend } from './backends/memory.ts'
