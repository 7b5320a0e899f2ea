/** Contracts, byte generators and fault-injecting wrappers for Granary's own tests. @module */
export type { BackendContractOptions } from './backend.contract.ts'
export { backendContract } from './backend.contract.ts'
export type { Clock } from './clock.ts'
export type { CrashFileSystem, CrashFileSystemOptions, CrashProcess } from './crash-fs.ts'
export { crashFileSystem } from './crash-fs.ts'
export type { CrashOperation } from './crash-fs-state.ts'
export type { DiskReaderContractOptions } from './disk-reader.contract.ts'
export { diskReaderContract } from './disk-reader.contract.ts'
export type { DiskWriterContractOptions } from './disk-writer.contract.ts'
export { diskWriterContract } from './disk-writer.contract.ts'
export type { FaultyReaderOptions } from './faulty-reader.ts'
export { faultyReader, gatedReader } from './faulty-reader.ts'
export type { GranaryOptions, GranaryProcess, GranaryResult } from './granary-process.ts'
export { cleanEnvironment, granaryPath, parseJsonLines, runGranary, startGranary } from './granary-process.ts'
export { freePort } from './free-port.ts'
export { createLoopDevice, mountTmpfs, whyNoLoopDevices, whyNoMounts } from './scratch-devices.ts'
export type { BackendCall, BackendOperation, Fault, FaultPlan, FaultRates } from './faults.ts'
export { faultAt, randomFaults } from './faults.ts'
export type { FaultyBackendOptions, FaultyStorage } from './faulty-backend.ts'
export { faultyBackend, faultyStorage } from './faulty-backend.ts'
export { seededBytes, seededRandom } from './random-bytes.ts'
export { projectPath, sharedPath } from './shared-folder.ts'
export type { Holds, ScheduledBackendOptions } from './scheduled-backend.ts'
export { scheduledBackend, scheduledFileSystem } from './scheduled-backend.ts'
export type {
  Actor,
  ActorEnd,
  ScheduledRun,
  Scheduler,
  SchedulerOptions,
  SpawnOptions,
  TraceEntry,
} from './scheduler.ts'
export { createScheduler, formatTrace } from './scheduler.ts'
export type { ListeningPlace } from './until-listening.ts'
export { untilListening } from './until-listening.ts'
