import { test } from 'tap'
import { setUp } from './client.ts'
import type { Client } from './client.ts'

const ovfOf = async (client: Client, vmId: string): Promise<string> =>
  (await client.get(`vms/${vmId}?all_content=true`)).json.initialization.configuration.data

test('§3.1 §3.2 the OVF: ids, disks in GiB, NICs, and secrets in clear', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({
    name: 'a & b',
    clusterId: site.clusterId,
    nics: [{ name: 'nic1', vnic_profile: { id: site.vnicProfileId } }],
    disks: [{ sizeBytes: 3 * 1024 ** 3, storageDomainId: site.storageDomains[0]?.id ?? '' }],
    config: {
      initialization: { root_password: 'geheim', host_name: 'a' },
      custom_properties: [{ name: 'p', value: '1' }],
    },
  })
  const [diskId = ''] = vm.attachments.keys()
  const { imageId } = client.simulator.disk(diskId)
  const ovf = await ovfOf(client, vm.id)
  t.match(ovf, `ovf:href="${diskId}/${imageId}"`)
  t.match(ovf, /ovf:size="3"/)
  t.match(ovf, `<Section ovf:id="${vm.id}"`)
  t.match(ovf, '<Name>a &amp; b</Name>')
  t.match(ovf, 'ovf:rootPassword="geheim"')
  t.match(ovf, 'ovf:disk-interface="VirtIO_SCSI"')
  t.match(ovf, '<rasd:MACAddress>56:6f:')
  t.match(ovf, '<UserDefinedProperties>p=1</UserDefinedProperties>')
  t.notMatch((await client.get(`vms/${vm.id}`)).json, { initialization: { configuration: {} } })
})

test('§3.1 secrets of cloud-init and sysprep are in the OVF, in clear', async t => {
  const client = await setUp(t)
  const initialization = {
    root_password: 'secret-1',
    authorized_ssh_keys: 'secret-2',
    custom_script: 'secret-3',
    windows_license_key: 'secret-4',
  }
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({ name: 'a', clusterId: site.clusterId, config: { initialization } })
  const ovf = await ovfOf(client, vm.id)
  for (const [n, name] of ['rootPassword', 'authorizedKeys', 'customScript', 'winKey'].entries())
    t.match(ovf, `ovf:${name}="secret-${n + 1}"`)
})

test('§3.2 all that an OVF of the engine has', async t => {
  const client = await setUp(t, { profile: 'ovirt-4.5' })
  const { inventory, site } = client.simulator
  const storageDomainId = site.storageDomains[0]?.id ?? ''
  const vm = await inventory.addVm({
    name: 'web',
    clusterId: site.clusterId,
    nics: [{ name: 'nic1', vnic_profile: { id: site.vnicProfileId } }],
    disks: [
      { sizeBytes: 3 * 1024 ** 3, storageDomainId, interface: 'virtio', readOnly: true },
      { sizeBytes: 65536, storageDomainId, format: 'raw', sparse: false, interface: 'sata' },
      { sizeBytes: 65536, storageDomainId, storageType: 'lun' },
    ],
    config: { lease: { storage_domain: { id: storageDomainId } }, bios: { type: 'q35_ovmf' } },
  })
  const ovf = await ovfOf(client, vm.id)
  const has = (pattern: RegExp): void => void t.match(ovf, pattern)
  has(/<ovf:Envelope [^>]*xmlns:ovf="http:\/\/schemas\.dmtf\.org\/ovf\/envelope\/1\/"[^>]*ovf:version="4\.5\.5\.0"/)
  for (const name of ['href', 'id', 'size', 'description', 'disk_storage_type'])
    has(new RegExp(`<File [^>]*ovf:${name}=`))
  has(/ovf:disk_storage_type="LUN"/)
  has(/<NetworkSection>.*<Network ovf:name="ovirtmgmt"/)
  has(/<Section xsi:type="ovf:DiskSection_Type">/)
  for (const name of [
    'diskId',
    'size',
    'actual_size',
    'vm_snapshot_id',
    'parentRef',
    'fileRef',
    'format',
    'volume-format',
    'volume-type',
    'disk-interface',
    'read-only',
    'shareable',
    'boot',
    'pass-discard',
    'incremental-backup',
    'disk-alias',
    'disk-description',
    'wipe-after-delete',
  ])
    has(new RegExp(`<Disk [^>]*ovf:${name}=`))
  has(/ovf:volume-format="COW" ovf:volume-type="Sparse" ovf:disk-interface="VirtIO" ovf:read-only="true"/)
  has(/ovf:volume-format="RAW" ovf:volume-type="Preallocated" ovf:disk-interface="SATA" ovf:read-only="false"/)
  has(/<Content ovf:id="out" xsi:type="ovf:VirtualSystem_Type">/)
  for (const name of [
    'Name',
    'Description',
    'Comment',
    'CreationDate',
    'ExportDate',
    'DeleteProtected',
    'IsStateless',
    'TimeZone',
    'DefaultBootSequence',
    'Generation',
    'ClusterCompatibilityVersion',
    'VmType',
    'MinAllocatedMem',
    'MaxMemorySizeMb',
    'AutoStartup',
    'Priority',
    'MigrationSupport',
    'SerialNumberPolicy',
    'BiosType',
    'CustomEmulatedMachine',
    'CustomCpuName',
    'UseHostCpu',
    'BalloonEnabled',
    'UserDefinedProperties',
    'VmLeaseDomainId',
    'TemplateId',
    'TemplateName',
    'ClusterName',
  ])
    has(new RegExp(`<${name}(>|/>)`))
  has(
    new RegExp(
      `<Section ovf:id="${vm.id}" ovf:required="false" xsi:type="ovf:OperatingSystemSection_Type">.*<Description>other</Description>`,
    ),
  )
  has(/<Section xsi:type="ovf:VirtualHardwareSection_Type">/)
  for (const name of [
    'num_of_sockets',
    'cpu_per_socket',
    'threads_per_cpu',
    'VirtualQuantity',
    'InstanceId',
    'HostResource',
    'Parent',
    'Template',
    'StorageId',
    'StoragePoolId',
    'MACAddress',
    'Connection',
    'Linked',
    'ResourceSubType',
  ])
    has(new RegExp(`<rasd:${name}>`))
  for (const type of ['disk', 'interface', 'cdrom', 'usb']) has(new RegExp(`<Type>${type}</Type>`))
  has(/<Section xsi:type="ovf:SnapshotsSection_Type">/)
})
