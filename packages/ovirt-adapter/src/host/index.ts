/** Copies of VMs on the host they run on, without the engine's backup API. @module */
export type { GuestAgent, GuestCommand, GuestCommandResult } from './guest-agent.ts'
export { guestAgent } from './guest-agent.ts'
export type { GuestScriptOptions, GuestScripts, ScriptReport } from './guest-scripts.ts'
export { betweenScripts } from './guest-scripts.ts'
export type { Frozen, HostCopy, HostCopyOptions, HostDisk, HostStep } from './host-copy.ts'
export type {
  HostIntent,
  HostJournal,
  OverlayDisk,
  OverlayIntent,
  PullIntent,
  ScriptIntent,
  SettleIntent,
} from './intents.ts'
export { noJournal } from './intents.ts'
export type { DomainJob, LibvirtOptions } from './libvirt.ts'
export { Libvirt } from './libvirt.ts'
export { openOverlayCopy } from './overlay-copy.ts'
export { openPullCopy } from './pull-copy.ts'
export { undoHostIntent } from './recover-host.ts'
export type { ScratchOptions } from './scratch.ts'
export type { StoppedCopyOptions, StoppedVolume } from './stopped-copy.ts'
export { openStoppedCopy } from './stopped-copy.ts'
export type { StoragePathOptions, VolumeIds } from './storage-paths.ts'
export { findVolume } from './storage-paths.ts'
export { thisHostId } from './this-host.ts'
