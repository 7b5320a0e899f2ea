/** An OVF in the engine's dialect, with everything in it that a restore must look at. */
export interface SampleOvf {
  readonly vmId?: string
  readonly name?: string
  readonly rootPassword?: string
  readonly disks?: readonly { diskId: string; volumeId: string; alias: string }[]
}

export const DISKS = [
  {
    diskId: 'd0000000-0000-0000-0000-000000000001',
    volumeId: 'e0000000-0000-0000-0000-000000000001',
    alias: 'web_Disk1',
  },
  {
    diskId: 'd0000000-0000-0000-0000-000000000002',
    volumeId: 'e0000000-0000-0000-0000-000000000002',
    alias: 'web & data',
  },
]

const escape = (value: string): string =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

export const sampleOvf = ({
  vmId = 'a0000000-0000-0000-0000-000000000001',
  name = 'web',
  rootPassword = 'hunter2 "&<',
  disks = DISKS,
}: SampleOvf = {}): string =>
  `<?xml version="1.0" encoding="UTF-8"?><ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ovf:version="4.5.7.0"><References>${disks
    .map(
      ({ diskId, volumeId }) =>
        `<File ovf:href="${diskId}/${volumeId}" ovf:id="${volumeId}" ovf:size="1048576" ovf:description="" ovf:disk_storage_type="IMAGE"/>`,
    )
    .join(
      '',
    )}</References><NetworkSection><Info>List of networks</Info><Network ovf:name="ovirtmgmt"/></NetworkSection><Section xsi:type="ovf:DiskSection_Type"><Info>List of Virtual Disks</Info>${disks
    .map(
      ({ diskId, volumeId, alias }) =>
        `<Disk ovf:diskId="${volumeId}" ovf:size="10" ovf:actual_size="1" ovf:vm_snapshot_id="c0000000-0000-0000-0000-000000000001" ovf:parentRef="" ovf:fileRef="${diskId}/${volumeId}" ovf:volume-format="COW" ovf:volume-type="Sparse" ovf:disk-interface="VirtIO_SCSI" ovf:boot="true" ovf:disk-alias="${escape(alias)}" ovf:wipe-after-delete="false"/>`,
    )
    .join(
      '',
    )}</Section><Content ovf:id="out" xsi:type="ovf:VirtualSystem_Type"><Name>${escape(name)}</Name><Description>a &amp; b</Description><CreationDate>2026/11/01 10:00:00</CreationDate><DeleteProtected>true</DeleteProtected><IsStateless>false</IsStateless><AutoStartup>true</AutoStartup><BiosType>3</BiosType><VmLease>50000000-0000-0000-0000-000000000001</VmLease><VmInit ovf:hostname="web" ovf:authorizedKeys="ssh-ed25519 AAAA root@web" ovf:rootPassword="${escape(rootPassword)}" ovf:customScript="runcmd:&#10;- echo secret script" ovf:winKey="WIN-KEY-1"/><ClusterName>Default</ClusterName><Section ovf:id="${vmId}" ovf:required="false" xsi:type="ovf:OperatingSystemSection_Type"><Info>Guest Operating System</Info><Description>rhel_9x64</Description></Section><Section xsi:type="ovf:VirtualHardwareSection_Type"><Info>2 CPU, 4096 Memory</Info><Item><rasd:Caption>2 virtual cpu</rasd:Caption><rasd:InstanceId>1</rasd:InstanceId><rasd:ResourceType>3</rasd:ResourceType><rasd:num_of_sockets>2</rasd:num_of_sockets></Item>${disks
    .map(
      ({ diskId, volumeId, alias }) =>
        `<Item><rasd:Caption>${escape(alias)}</rasd:Caption><rasd:InstanceId>${volumeId}</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>${diskId}/${volumeId}</rasd:HostResource><Type>disk</Type></Item>`,
    )
    .join(
      '',
    )}<Item><rasd:Caption>Ethernet adapter on ovirtmgmt</rasd:Caption><rasd:InstanceId>b0000000-0000-0000-0000-000000000001</rasd:InstanceId><rasd:ResourceType>10</rasd:ResourceType><rasd:MACAddress>56:6f:00:00:00:01</rasd:MACAddress></Item><Item><rasd:ResourceType>0</rasd:ResourceType><Type>watchdog</Type><Device>watchdog</Device><SpecParams><action>reset</action></SpecParams></Item><Item><rasd:ResourceType>0</rasd:ResourceType><Type>disk</Type><SpecParams><vmPayload><file>c2VjcmV0IHBheWxvYWQ=</file></vmPayload></SpecParams></Item></Section><Section xsi:type="ovf:SnapshotsSection_Type"><Snapshot ovf:id="f0000000-0000-0000-0000-000000000001"><Type>REGULAR</Type><VmConfiguration>c2VjcmV0IG9mIGEgc25hcHNob3Q=</VmConfiguration></Snapshot></Section><Section xsi:type="ovf:VmExternalDataSection_Type"><VmExternalDataItem ovf:kind="tpm"><VmExternalDataContent>dHBtIHN0YXRl</VmExternalDataContent></VmExternalDataItem><VmExternalDataItem ovf:kind="nvram"><VmExternalDataContent>bnZyYW0=</VmExternalDataContent></VmExternalDataItem></Section></Content></ovf:Envelope>`
