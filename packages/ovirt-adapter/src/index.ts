/** Backup and restore of virtual machines on oVirt-family platforms. @module */
export type {
  EngineRecord,
  MachineAttachment,
  MachineDisk,
  MachineNic,
  MachineRecord,
  MachineSecrets,
  Named,
  NotCopiedDisk,
  PermissionRecord,
  SecretValue,
} from './machine/machine-record.ts'
export { machineOf, readMachineRecord } from './machine/read-machine-record.ts'
export type { OvfDisk, OvfSummary } from './ovf/read-ovf.ts'
export { readOvf } from './ovf/read-ovf.ts'
export type { SplitOvf } from './ovf/secrets.ts'
export { joinOvfSecrets, splitOvfSecrets } from './ovf/secrets.ts'
export type { PrepareOvfOptions } from './ovf/prepare-ovf.ts'
export { prepareOvf } from './ovf/prepare-ovf.ts'
export type { CallOptions, CreateOptions, EngineOptions, Exchange } from './engine/engine.ts'
export { Engine } from './engine/engine.ts'
export type { Json } from './engine/json.ts'
export type { ConfigKey } from './config/keys.ts'
export type { OvirtConfig, OvirtLimits } from './config/ovirt-config.ts'
export type { OpenEngineOptions } from './config/open-engine.ts'
export { openEngine } from './config/open-engine.ts'
export type { ParseConfigOptions, ReadConfig, ReadConfigOptions } from './config/read-config.ts'
export { parseOvirtConfig, readOvirtConfig } from './config/read-config.ts'
export type { ResolveSecret, SecretReference } from './config/secret-reference.ts'
export type { OpenImage, OpenImageOptions } from './backup/open-image.ts'
export type { BackupContext, BackupSettings, BackupVmOptions, HostPath, TransferSettings } from './backup/settings.ts'
export type { BackupVmsOptions, VmResult } from './backup/backup-vms.ts'
export { backupVms } from './backup/backup-vms.ts'
export type { Vm } from './engine/resources/vms.ts'
export type { VmChoice } from './backup/choose-vms.ts'
export { chooseVms } from './backup/choose-vms.ts'
export type { VmBackupReport } from './backup/report.ts'
export type { JournalOptions } from './journal/journal.ts'
export { Journal } from './journal/journal.ts'
export type { Recovered, RecoverOptions } from './clean/recover.ts'
export { BACKUP_UNDO, recover } from './clean/recover.ts'
export type { Outcome, Undo, UndoContext, UndoTable } from './clean/undo.ts'
export type { VmRow } from './engine/list-vm-rows.ts'
export { listVmRows } from './engine/list-vm-rows.ts'
export { checkVersion } from './check/version.ts'
export type { CheckOptions } from './check/check-platform.ts'
export { checkPlatform } from './check/check-platform.ts'
export type { Finding } from './check/finding.ts'
export type { ImageClock, ImageOptions } from './imageio/image-settings.ts'
export type { ImageDisk, OpenImageDiskOptions } from './imageio/image-disk.ts'
export { openImageDisk } from './imageio/image-disk.ts'
export type { ImageUpload, OpenImageUploadOptions } from './imageio/image-upload.ts'
export { openImageUpload } from './imageio/image-upload.ts'
export type {
  OnRestoreEvent,
  OpenUpload,
  OpenUploadOptions,
  ReadableSource,
  RestoreContext,
  RestoreDiskProgress,
  RestoreSettings,
  RestoreStep,
} from './restore/context.ts'
export type { BrokenRestore } from './restore/find-restore.ts'
export { findBrokenRestore } from './restore/find-restore.ts'
export type { InPlaceChoices, InPlaceDisk, InPlacePlan, InPlaceResult, InPlaceTarget } from './restore/in-place-plan.ts'
export { planInPlace, readInPlaceTarget } from './restore/in-place-plan.ts'
export type { InPlaceOptions, InPlaceReport } from './restore/in-place.ts'
export { restoreInPlace, resumeInPlace } from './restore/in-place.ts'
export type {
  MacConflict,
  PlanResult,
  PlannedDisk,
  PlannedMachine,
  PlannedNic,
  RestoreChoices,
  RestorePlan,
  RestoreSource,
  SourceDisk,
} from './restore/plan.ts'
export { planRestore, requirePlan } from './restore/plan.ts'
export type { RestoreMachineOptions, RestoreReport } from './restore/restore-machine.ts'
export { restoreMachine, resumeRestore } from './restore/restore-machine.ts'
export type { NameMap, RestoreMap } from './restore/restore-map.ts'
export { parseRestoreMap } from './restore/restore-map.ts'
export type { RestoreUndoOptions } from './restore/restore-undo.ts'
export { restoreUndo } from './restore/restore-undo.ts'
export type { StoredSourceOptions } from './restore/stored-source.ts'
export { storedSource } from './restore/stored-source.ts'
export type { Owned, RestoreTarget, TargetProfile } from './restore/target.ts'
export { readRestoreTarget } from './restore/target.ts'
export type { DomainDisk, LibvirtDomainOptions } from './recover/libvirt-domain.ts'
export { libvirtDomain } from './recover/libvirt-domain.ts'
export type { GuestAgent, GuestCommand, GuestCommandResult } from './host/guest-agent.ts'
export { guestAgent } from './host/guest-agent.ts'
export type { GuestScriptOptions, GuestScripts, ScriptReport } from './host/guest-scripts.ts'
export { betweenScripts } from './host/guest-scripts.ts'
export type { Frozen, HostCopy, HostCopyOptions, HostDisk, HostStep } from './host/host-copy.ts'
export type {
  HostIntent,
  HostJournal,
  OverlayDisk,
  OverlayIntent,
  PullIntent,
  ScriptIntent,
  SettleIntent,
} from './host/intents.ts'
export { noJournal } from './host/intents.ts'
export type { DomainJob, LibvirtOptions } from './host/libvirt.ts'
export { Libvirt } from './host/libvirt.ts'
export { openOverlayCopy } from './host/overlay-copy.ts'
export { openPullCopy } from './host/pull-copy.ts'
export { undoHostIntent } from './host/recover-host.ts'
export type { ScratchOptions } from './host/scratch.ts'
export type { StoppedCopyOptions, StoppedVolume } from './host/stopped-copy.ts'
export { openStoppedCopy } from './host/stopped-copy.ts'
export type { StoragePathOptions, VolumeIds } from './host/storage-paths.ts'
export { findVolume } from './host/storage-paths.ts'
export { thisHostId } from './host/this-host.ts'
export { attachFiles } from './files/attach-files.ts'
export type { AttachResult } from './files/attach-files.ts'
export type { FilesChoices } from './files/choose-target.ts'
export type { FilesContext, FilesImage, FilesProgress, FilesStep } from './files/context.ts'
export { ejectFiles, listFiles } from './files/eject-files.ts'
export type { EjectResult } from './files/eject-files.ts'
export type { AttachedFiles } from './files/state.ts'
