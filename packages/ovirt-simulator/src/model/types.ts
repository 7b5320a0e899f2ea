/**
 * The types of the API: attributes in the order in which they are answered. `Base | name:type ...`, where a type is
 * bool, int, num, date, str, an enumeration, or a type of this table; `[]` is a wrapped list, `>` a link.
 *
 * @see oVirt API model 4.6.1, and docs/ovirt-simulator.md
 * @module
 */

export const TYPES = {
  Creation: 'Identified | status:str fault:Fault',
  Action:
    '| status:str job:Job> fault:Fault async:bool vm:Vm pause:bool force:bool reason:str filter:bool use_cloud_init:bool use_sysprep:bool use_initialization:bool volatile:bool authorized_key:str disk:Disk storage_domain:StorageDomain disk_profile:DiskProfile> quota:Quota> host:Host cluster:Cluster restore_memory:bool disks:Disk[] name:str description:str correlation_id:str grace_period:GracePeriod',
  AffinityGroup:
    'Identified | positive:bool enforcing:bool priority:num cluster:Cluster> vms:Vm[]> vm_labels:AffinityLabel[]>',
  AffinityLabel: 'Identified | read_only:bool vms:Vm[]> hosts:Host[]>',
  Api: '| special_objects:SpecialObjects product_info:ProductInfo summary:ApiSummary time:date engine_backup:EngineBackupInfo authenticated_user:User> effective_user:User>',
  ApiSummary: '| hosts:ApiSummaryItem storage_domains:ApiSummaryItem users:ApiSummaryItem vms:ApiSummaryItem',
  ApiSummaryItem: '| active:int total:int',
  Application: 'Identified | vm:Vm>',
  Backup:
    'Identified | host:Host> from_checkpoint_id:str to_checkpoint_id:str phase:BackupPhase creation_date:date modification_date:date vm:Vm> disks:Disk[]> snapshot:Snapshot>',
  Bios: '| boot_menu:BootMenu type:BiosType',
  Boot: '| devices:BootDevice[]',
  BootMenu: '| enabled:bool',
  Cdrom: 'Device | file:File',
  Certificate: 'Identified | content:str organization:str subject:str',
  Checkpoint: 'Identified | parent_id:str creation_date:date state:CheckpointState vm:Vm> disks:Disk[]>',
  Cluster:
    'Identified | cpu:Cpu memory_policy:MemoryPolicy version:Version supported_versions:Version[] error_handling:ErrorHandling virt_service:bool gluster_service:bool threads_as_cores:bool tunnel_migration:bool trusted_service:bool ha_reservation:bool vnc_encryption:bool bios_type:BiosType optional_reason:bool maintenance_reason_required:bool ballooning_enabled:bool display:Display ksm:Ksm serial_number:SerialNumber required_rng_sources:str[] fencing_policy:FencingPolicy migration:MigrationOptions custom_scheduling_policy_properties:Property[] switch_type:str firewall_type:str log_max_memory_used_threshold:int log_max_memory_used_threshold_type:str enabled_features:Identified[]> scheduling_policy:Identified> data_center:DataCenter> management_network:Network> external_network_providers:Identified[]> mac_pool:MacPool> affinity_groups:AffinityGroup[]> cpu_profiles:CpuProfile[]> gluster_hooks:Identified[]> gluster_volumes:Identified[]> network_filters:Identified[]> networks:Network[]> permissions:Permission[]> gluster_tuned_profile:str fips_mode:str upgrade_in_progress:bool upgrade_percent_complete:int upgrade_correlation_id:str',
  Configuration: '| type:ConfigurationType data:str',
  Console: '| enabled:bool',
  Core: '| index:int socket:int',
  Cpu: '| type:str topology:CpuTopology level:int name:str speed:num cpu_tune:CpuTune mode:str architecture:str cores:Core[]',
  CpuProfile: 'Identified | cluster:Cluster> qos:Qos>',
  CpuTopology: '| sockets:int cores:int threads:int',
  CpuTune: '| vcpu_pins:VcpuPin[]',
  CustomProperty: '| name:str value:str regexp:str',
  DataCenter:
    'Identified | local:bool storage_format:StorageFormat version:Version supported_versions:Version[] status:DataCenterStatus quota_mode:str mac_pool:MacPool> storage_domains:StorageDomain[]> clusters:Cluster[]> networks:Network[]> permissions:Permission[]> quotas:Quota[]> qoss:Qos[]> iscsi_bonds:Identified[]>',
  Device: 'Identified | instance_type:Identified> template:Template> vm:Vm> vms:Vm[]>',
  Disk: 'Device | alias:str image_id:str provisioned_size:int initial_size:int actual_size:int total_size:int status:DiskStatus interface:DiskInterface format:DiskFormat qcow_version:QcowVersion sparse:bool bootable:bool shareable:bool wipe_after_delete:bool propagate_errors:bool active:bool backup:DiskBackup backup_mode:DiskBackupMode read_only:bool lun_storage:HostStorage sgio:ScsiGenericIO uses_scsi_reservation:bool storage_type:DiskStorageType logical_name:str content_type:DiskContentType storage_domain:StorageDomain> storage_domains:StorageDomain[]> quota:Quota> disk_profile:DiskProfile> snapshot:Snapshot> openstack_volume_type:OpenStackVolumeType> permissions:Permission[]> disk_snapshots:DiskSnapshot[]> statistics:Statistic[]> external_disk:str',
  DiskAttachment:
    'Identified | bootable:bool pass_discard:bool interface:DiskInterface uses_scsi_reservation:bool active:bool logical_name:str read_only:bool disk:Disk> vm:Vm> template:Template>',
  DiskProfile: 'Identified | storage_domain:StorageDomain> qos:Qos>',
  DiskSnapshot: 'Disk | disk:Disk> parent:DiskSnapshot>',
  Display:
    '| type:str video_type:str address:str port:int secure_port:int monitors:int single_qxl_pci:bool allow_override:bool certificate:Certificate smartcard_enabled:bool keyboard_layout:str proxy:str file_transfer_enabled:bool copy_paste_enabled:bool disconnect_action:str disconnect_action_delay:int',
  Domain: 'Identified | user:User>',
  EngineBackupInfo: '| last_db_backup:date last_engine_backup:date',
  ErrorHandling: '| on_error:str',
  Event:
    'Identified | index:int code:int severity:LogSeverity time:date correlation_id:str origin:str custom_id:int flood_rate:int log_on_host:bool custom_data:str user:User> vm:Vm> storage_domain:StorageDomain> host:Host> template:Template> cluster:Cluster> data_center:DataCenter>',
  Fault: '| reason:str detail:str',
  FencingPolicy: '| enabled:bool',
  File: 'Identified | content:str type:str storage_domain:StorageDomain>',
  GracePeriod: '| expiry:int',
  GraphicsConsole: 'Identified | vm:Vm> address:str port:int tls_port:int protocol:str',
  GuestOperatingSystem: '| architecture:str codename:str distribution:str kernel:Kernel family:str version:Version',
  HardwareInformation:
    '| name:str manufacturer:str version:str serial_number:str product_name:str uuid:str family:str supported_rng_sources:str[]',
  HighAvailability: '| enabled:bool priority:int',
  Host: 'Identified | address:str status:HostStatus status_detail:str certificate:Certificate external_status:str port:int type:str spm:Spm version:Version hardware_information:HardwareInformation ksm:Ksm transparent_huge_pages:TransparentHugePages root_password:str ssh:Ssh cpu:Cpu cpu_units:Identified[]> memory:int max_scheduling_memory:int summary:VmSummary override_iptables:bool protocol:str os:OperatingSystem libvirt_version:Version display:Display hosted_engine:HostedEngine kdump_status:str se_linux:SeLinux auto_numa_status:str numa_supported:bool update_available:bool network_operation_in_progress:bool reinstallation_required:bool device_passthrough:HostDevicePassthrough vgpu_placement:str ovn_configured:bool cluster:Cluster> hooks:Identified[]> external_host_provider:Identified> storage_connection_extensions:Identified[]> affinity_labels:AffinityLabel[]> devices:HostDevice[]> agents:Identified[]> katello_errata:Identified[]> network_attachments:Identified[]> nics:HostNic[]> numa_nodes:NumaNode[]> permissions:Permission[]> statistics:Statistic[]> storages:HostStorage[]> tags:Tag[]> unmanaged_networks:Identified[]> external_network_provider_configurations:Identified[]>',
  HostDevice:
    'Identified | capability:str driver:str iommu_group:int product:Product vendor:Product vm:Vm> host:Host> placeholder:bool',
  HostDevicePassthrough: '| enabled:bool',
  HostNic: 'Identified | mac:Mac ip:Ip host:Host> network:Network>',
  HostStorage:
    'Identified | address:str type:StorageType path:str mount_options:str vfs_type:str nfs_version:str nfs_timeo:int nfs_retrans:int port:int target:str username:str password:str portal:str logical_units:LogicalUnit[] volume_group:VolumeGroup override_luns:bool driver_options:Property[] driver_sensitive_options:Property[] host:Host>',
  HostedEngine: '| configured:bool active:bool score:int global_maintenance:bool local_maintenance:bool',
  Icon: 'Identified | media_type:str data:str',
  Identified: '| id:str href:str name:str description:str comment:str creation_status:str',
  Image: 'Identified | size:int type:str storage_domain:StorageDomain>',
  ImageTransfer:
    'Identified | proxy_url:str transfer_url:str phase:ImageTransferPhase direction:ImageTransferDirection active:bool transferred:int inactivity_timeout:int timeout_policy:ImageTransferTimeoutPolicy image:Image> disk:Disk> snapshot:DiskSnapshot> host:Host> backup:Backup> format:DiskFormat shallow:bool',
  Initialization:
    '| configuration:Configuration host_name:str domain:str timezone:str authorized_ssh_keys:str regenerate_ssh_keys:bool regenerate_ids:bool dns_servers:str dns_search:str nic_configurations:NicConfiguration[] windows_license_key:str root_password:str custom_script:str input_locale:str ui_language:str system_locale:str user_locale:str user_name:str active_directory_ou:str org_name:str cloud_init_network_protocol:str',
  Io: '| threads:int',
  Ip: '| address:str netmask:str gateway:str version:IpVersion',
  Job: 'Identified | status:JobStatus start_time:date end_time:date last_updated:date external:bool auto_cleared:bool owner:User> steps:Step[]>',
  Kernel: '| version:Version',
  Ksm: '| enabled:bool merge_across_nodes:bool',
  LogicalUnit:
    '| id:str address:str port:int portal:str target:str serial:str vendor_id:str product_id:str lun_mapping:int size:int paths:int status:str volume_group_id:str storage_domain_id:str disk_id:str discard_max_size:int discard_zeroes_data:bool username:str password:str',
  Mac: '| address:str',
  MacPool: 'Identified | allow_duplicates:bool default_pool:bool ranges:Range[] permissions:Permission[]>',
  MemoryOverCommit: '| percent:int',
  MemoryPolicy:
    '| guaranteed:int max:int ballooning:bool over_commit:MemoryOverCommit transparent_huge_pages:TransparentHugePages',
  Method: '| name:str',
  MigrationOptions: '| auto_converge:str compressed:str encrypted:str custom_parallel_migrations:int',
  Network:
    'Identified | ip:Ip vlan:Vlan stp:bool status:str display:bool mtu:int usages:str[] required:bool profile_required:bool vdsm_name:str data_center:DataCenter> cluster:Cluster> qos:Qos> network_labels:Identified[]> permissions:Permission[]> vnic_profiles:VnicProfile[]> external_provider:Identified> external_provider_physical_network:Network> port_isolation:bool',
  NetworkFilterParameter: 'Identified | value:str nic:Nic>',
  Nic: 'Device | linked:bool interface:NicInterface mac:Mac plugged:bool synced:bool boot_protocol:str on_boot:bool network:Network> statistics:Statistic[]> vnic_profile:VnicProfile> network_labels:Identified[]> network_attachments:Identified[]> virtual_function_allowed_labels:Identified[]> virtual_function_allowed_networks:Network[]> reported_devices:ReportedDevice[]> network_filter_parameters:NetworkFilterParameter[]>',
  NicConfiguration: '| name:str ip:Ip on_boot:bool boot_protocol:str ipv6:Ip ipv6_boot_protocol:str',
  NumaNode: 'Identified | index:int memory:int cpu:Cpu node_distance:str',
  OpenStackVolumeType: 'Identified | ',
  OperatingSystem:
    '| type:str boot:Boot kernel:str initrd:str cmdline:str reported_kernel_cmdline:str custom_kernel_cmdline:str description:str version:Version',
  Payload: '| type:str volume_id:str files:File[]',
  Permission:
    'Identified | role:Role> user:User> group:Identified> data_center:DataCenter> cluster:Cluster> host:Host> storage_domain:StorageDomain> vm:Vm> vm_pool:Identified> template:Template> disk:Disk>',
  Permit: 'Identified | administrative:bool role:Role>',
  Product: 'Identified | ',
  ProductInfo: '| name:str vendor:str version:Version instance_id:str',
  Property: '| name:str value:str',
  Qos: 'Identified | type:str data_center:DataCenter> max_iops:int max_throughput:int',
  Quota:
    'Identified | cluster_hard_limit_pct:int cluster_soft_limit_pct:int storage_hard_limit_pct:int storage_soft_limit_pct:int data_center:DataCenter>',
  Range: '| from:str to:str',
  Rate: '| bytes:int period:int',
  ReportedDevice: 'Identified | type:str mac:Mac ips:Ip[] vm:Vm>',
  RngDevice: '| rate:Rate source:str',
  Role: 'Identified | administrative:bool mutable:bool user:User> permits:Permit[]>',
  ScsiGenericIO: 'Identified | ',
  SeLinux: '| mode:str',
  SerialNumber: '| policy:str value:str',
  Session: 'Identified | vm:Vm> user:User> console_user:bool ip:Ip protocol:str',
  Snapshot:
    'Vm | date:date snapshot_status:SnapshotStatus persist_memorystate:bool snapshot_type:SnapshotType vm:Vm> disks:Disk[]>',
  SpecialObjects: '| blank_template:Template> root_tag:Tag>',
  Spm: '| priority:int status:str',
  Ssh: 'Identified | port:int fingerprint:str',
  Sso: '| methods:Method[]',
  Statistic: 'Identified | kind:str type:str unit:str values:StatisticValue[] vm:Vm> host:Host> disk:Disk>',
  StatisticValue: '| datum:num detail:str',
  Step: 'Identified | type:str number:int status:str start_time:date end_time:date external:bool external_type:str parent_step:Step> job:Job> statistics:Statistic[]> progress:int execution_host:Host>',
  StorageConnection: 'Identified | address:str path:str type:StorageType port:int target:str',
  StorageDomain:
    'Identified | type:StorageDomainType status:StorageDomainStatus external_status:str master:bool storage:HostStorage available:int used:int committed:int storage_format:StorageFormat wipe_after_delete:bool discard_after_delete:bool supports_discard:bool supports_discard_zeroes_data:bool import:bool warning_low_space_indicator:int critical_space_action_blocker:int host:Host> data_center:DataCenter> backup:bool block_size:int data_centers:DataCenter[]> disks:Disk[]> disk_profiles:DiskProfile[]> disk_snapshots:DiskSnapshot[]> files:File[]> images:Image[]> permissions:Permission[]> storage_connections:StorageConnection[]> templates:Template[]> vms:Vm[]>',
  StorageDomainLease: '| storage_domain:StorageDomain>',
  Tag: 'Identified | group:Identified> host:Host> user:User> vm:Vm> template:Template> parent:Tag>',
  Template:
    'VmBase | status:str vm:Vm version:TemplateVersion cdroms:Cdrom[]> graphics_consoles:GraphicsConsole[]> nics:Nic[]> permissions:Permission[]> tags:Tag[]> watchdogs:Watchdog[]> disk_attachments:DiskAttachment[]> mediated_devices:VmMediatedDevice[]>',
  TemplateVersion: '| version_name:str version_number:int base_template:Template>',
  TimeZone: '| name:str utc_offset:str',
  TransparentHugePages: '| enabled:bool',
  UsageMessage: '| message:str help_type:str detailed_link:str',
  Usb: '| enabled:bool type:str',
  User: 'Identified | domain_entry_id:str department:str logged_in:bool namespace:str last_name:str user_name:str principal:str password:str email:str domain:Domain> roles:Role[]> groups:Identified[]> permissions:Permission[]> tags:Tag[]> ssh_public_keys:Identified[]> user_options:Property[] options:Identified[]>',
  VcpuPin: '| cpu_set:str vcpu:int',
  Version: 'Identified | major:int minor:int build:int revision:int full_version:str',
  VirtioScsi: '| enabled:bool',
  Vlan: '| id:int',
  Vm: 'VmBase | status:VmStatus status_detail:str stop_reason:str start_time:date stop_time:date run_once:bool payloads:Payload[] fqdn:str use_latest_template_version:bool next_run_configuration_exists:bool numa_tune_mode:str guest_time_zone:TimeZone guest_operating_system:GuestOperatingSystem has_illegal_images:bool host:Host> template:Template> original_template:Template> instance_type:Identified> nics:Nic[]> snapshots:Snapshot[]> vm_pool:Identified> cdroms:Cdrom[]> floppies:Identified[]> reported_devices:ReportedDevice[]> watchdogs:Watchdog[]> permissions:Permission[]> external_host_provider:Identified> affinity_labels:AffinityLabel[]> applications:Application[]> graphics_consoles:GraphicsConsole[]> host_devices:HostDevice[]> katello_errata:Identified[]> numa_nodes:NumaNode[]> sessions:Session[]> statistics:Statistic[]> tags:Tag[]> disk_attachments:DiskAttachment[]> dynamic_cpu:Identified> mediated_devices:VmMediatedDevice[]>',
  VmBase:
    'Identified | type:VmType memory:int cpu:Cpu cpu_shares:int bios:Bios os:OperatingSystem creation_time:date origin:str stateless:bool delete_protected:bool high_availability:HighAvailability display:Display sso:Sso rng_device:RngDevice console:Console domain:Domain usb:Usb soundcard_enabled:bool tunnel_migration:bool migration_downtime:int virtio_scsi:VirtioScsi serial_number:SerialNumber start_paused:bool migration:MigrationOptions io:Io custom_properties:CustomProperty[] custom_emulated_machine:str custom_cpu_model:str time_zone:TimeZone small_icon:Icon large_icon:Icon initialization:Initialization memory_policy:MemoryPolicy custom_compatibility_version:Version cluster:Cluster> storage_domain:StorageDomain> cpu_profile:CpuProfile> quota:Quota> lease:StorageDomainLease storage_error_resume_behaviour:str placement_policy:VmPlacementPolicy multi_queues_enabled:bool virtio_scsi_multi_queues_enabled:bool virtio_scsi_multi_queues:int tpm_enabled:bool auto_pinning_policy:str cpu_pinning_policy:str',
  VmMediatedDevice: 'Identified | vm:Vm> spec_params:Property[]',
  VmPlacementPolicy: '| affinity:str hosts:Host[]>',
  VmSummary: '| active:int migrating:int total:int',
  VnicPassThrough: '| mode:str',
  VnicProfile:
    'Identified | port_mirroring:bool custom_properties:CustomProperty[] pass_through:VnicPassThrough migratable:bool network:Network> qos:Qos> network_filter:Identified> failover:VnicProfile> permissions:Permission[]>',
  VolumeGroup: '| id:str name:str logical_units:LogicalUnit[]',
  Watchdog: 'Identified | model:str action:str vm:Vm> template:Template>',
} as const

export const ENUMS = {
  BackupPhase: 'initializing starting ready finalizing succeeded failed',
  BiosType: 'cluster_default i440fx_sea_bios q35_sea_bios q35_ovmf q35_secure_boot',
  BootDevice: 'cdrom hd network',
  CheckpointState: 'created invalid',
  ConfigurationType: 'ovf ova',
  DataCenterStatus: 'uninitialized up maintenance not_operational problematic contend',
  DiskBackup: 'none incremental',
  DiskBackupMode: 'full incremental',
  DiskContentType:
    'data ovf_store memory_dump_volume memory_metadata_volume iso hosted_engine hosted_engine_sanlock hosted_engine_metadata hosted_engine_configuration backup_scratch',
  DiskFormat: 'cow raw',
  DiskInterface: 'ide virtio_scsi virtio spapr_vscsi sata',
  DiskStatus: 'illegal locked ok',
  DiskStorageType: 'image lun cinder managed_block_storage',
  HostStatus:
    'down error initializing installing install_failed maintenance non_operational non_responsive pending_approval preparing_for_maintenance connecting reboot unassigned up installing_os kdumping',
  ImageTransferDirection: 'upload download',
  ImageTransferPhase:
    'unknown initializing transferring resuming paused_system paused_user cancelled finalizing_success finalizing_failure finished_success finished_failure cancelled_system cancelled_user finalizing_cleanup finished_cleanup',
  ImageTransferTimeoutPolicy: 'legacy pause cancel',
  IpVersion: 'v4 v6',
  JobStatus: 'aborted failed finished started unknown',
  LogSeverity: 'normal warning error alert',
  NicInterface: 'e1000 e1000e virtio rtl8139 rtl8139_virtio spapr_vlan pci_passthrough',
  QcowVersion: 'qcow2_v2 qcow2_v3',
  SnapshotStatus: 'ok locked in_preview',
  SnapshotType: 'regular active stateless preview',
  StorageDomainStatus:
    'active inactive locked mixed unattached maintenance preparing_for_maintenance detaching activating unknown',
  StorageDomainType: 'data iso export image volume managed_block_storage',
  StorageFormat: 'v1 v2 v3 v4 v5',
  StorageType: 'iscsi fcp nfs localfs posixfs glusterfs glance cinder managed_block_storage',
  VmStatus:
    'unassigned down up powering_up paused migrating unknown not_responding wait_for_launch reboot_in_progress saving_state restoring_state suspended image_locked powering_down',
  VmType: 'desktop server high_performance',
} as const
