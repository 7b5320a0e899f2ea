/** Contracts, byte generators and fault-injecting wrappers for Granary's own tests. @module */
export type { BackendContractOptions } from './backend.contract.ts'
export { backendContract } from './backend.contract.ts'
export type { DiskReaderContractOptions } from './disk-reader.contract.ts'
export { diskReaderContract } from './disk-reader.contract.ts'
export type { DiskWriterContractOptions } from './disk-writer.contract.ts'
export { diskWriterContract } from './disk-writer.contract.ts'
export { seededBytes, seededRandom } from './random-bytes.ts'
export { projectPath, sharedPath } from './shared-folder.ts'
