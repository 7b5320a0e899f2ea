/** What tests simulate storages, failures and concurrency with, without the test framework: for worker threads and child processes. @module */
export type { CrashFileSystem, CrashFileSystemOptions, CrashProcess } from './crash-fs.ts'
export { crashFileSystem } from './crash-fs.ts'
export type { CrashOperation } from './crash-fs-state.ts'
export type { BackendCall, BackendOperation, Fault, FaultPlan, FaultRates } from './faults.ts'
export { faultAt, randomFaults } from './faults.ts'
export type { FaultyBackendOptions, FaultyStorage } from './faulty-backend.ts'
export { faultyBackend, faultyStorage, gather } from './faulty-backend.ts'
export { seededBytes, seededRandom } from './random-bytes.ts'
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
