/** An oVirt engine and imageio that answer like the real ones, for tests and demos. @module */
export type { Hold, SimulatorClock } from './clock/clock.ts'
export type { RealClockOptions } from './clock/real-clock.ts'
export { createRealClock } from './clock/real-clock.ts'
export type { VirtualClock, VirtualClockOptions } from './clock/virtual-clock.ts'
export { createVirtualClock } from './clock/virtual-clock.ts'
export type { StorageSpaceOptions } from './volumes/storage-space.ts'
export { StorageSpace } from './volumes/storage-space.ts'
export type { VolumeInfo } from './volumes/layer-stack.ts'
export type { FreezeOptions, SimulatedDiskOptions } from './volumes/simulated-disk.ts'
export { SimulatedDisk } from './volumes/simulated-disk.ts'
export type { DirtyBitmaps } from './volumes/dirty-bitmaps.ts'
export type { FrozenDisk } from './volumes/frozen-disk.ts'
export type { OracleRecord } from './volumes/oracle.ts'
export { differencesFrom } from './volumes/oracle.ts'
export type { StoreOptions, UploadedImage } from './volumes/stored-volume.ts'
export { receiveQcow2, storeAsQcow2 } from './volumes/stored-volume.ts'
export type { ImageBackend, OpenBackend } from './imageio/backend.ts'
export type { ImageioOptions, Imageio, ListenerCertificate } from './imageio/daemon.ts'
export { startImageio } from './imageio/daemon.ts'
export type { ArmedFault, FaultEffect, ImageioFault, ImageioRequest } from './imageio/faults.ts'
export { openBackendByUrl } from './imageio/open-backend.ts'
export type { WriteBackDisk } from './imageio/write-back-disk.ts'
export { writeBackDisk } from './imageio/write-back-disk.ts'
export { addDemoMachines } from './demo.ts'
export type { FaultPlan } from './faults/fault-plan.ts'
export { applyFaultPlan, parseFaultPlan } from './faults/fault-plan.ts'
export type { SimulatorFaults } from './faults/simulator-faults.ts'
export type { HttpFault, HttpFaultKind, HttpFaultScope } from './faults/http-faults.ts'
export { HttpFaults } from './faults/http-faults.ts'
export type { Guest } from './guest.ts'
export type { SeenRequest } from './http/server.ts'
export type {
  AttachedDiskOptions,
  ClusterOptions,
  DefaultSite,
  DiskOptions,
  HostOptions,
  Inventory,
  NetworkOptions,
  StorageDomainOptions,
  VmOptions,
} from './inventory.ts'
export type { Moment, MomentName, Moments } from './model/moments.ts'
export type { Disk, StorageDomain, Vm } from './model/state.ts'
export type { Profile, StorageKind } from './profiles.ts'
export { PROFILES } from './profiles.ts'
export type { Simulator, SimulatorOptions } from './simulator.ts'
export { createSimulator } from './simulator.ts'
export type { SimulatorState } from './state.ts'
export type { Authority, Identity, IssueOptions } from './pki/authority.ts'
export { createAuthority } from './pki/authority.ts'
