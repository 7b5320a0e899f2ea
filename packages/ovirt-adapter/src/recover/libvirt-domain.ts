/**
 * A machine as a libvirt domain whose disks come over NBD: what `virsh create` boots straight from a backup. It runs outside the
 * engine's management, on a network of its own unless one is named.
 *
 * @see https://libvirt.org/formatdomain.html
 * @module
 */
import { integerOf, objectOf, textOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import type { MachineDisk, MachineNic, MachineRecord } from '../machine/machine-record.ts'
import { encodeXml } from '../ovf/xml.ts'

export interface DomainDisk {
  /** Name of the disk in the snapshot. */
  readonly name: string
  readonly exportName: string
  /** Where the NBD server listens: a socket, or host and port. */
  readonly server: { readonly socketPath: string } | { readonly host: string; readonly port: number }
}

export interface LibvirtDomainOptions {
  readonly disks: readonly DomainDisk[]
  /** @default the machine's, with `-recovered` */
  readonly name?: string
  /** A libvirt network for its NICs. @default user networking: out, and not in */
  readonly network?: string
  /** Shown in the domain's description. */
  readonly snapshotId: string
}

/** Buses by the engine's names; the letter is that of Linux guests. */
const BUSES: Readonly<Record<string, { readonly bus: string; readonly prefix: string }>> = {
  virtio_scsi: { bus: 'scsi', prefix: 'sd' },
  spapr_vscsi: { bus: 'scsi', prefix: 'sd' },
  virtio: { bus: 'virtio', prefix: 'vd' },
  sata: { bus: 'sata', prefix: 'sd' },
  ide: { bus: 'ide', prefix: 'hd' },
}

const NIC_MODELS: Readonly<Record<string, string>> = {
  rtl8139_virtio: 'virtio',
  spapr_vlan: 'virtio',
  pci_passthrough: 'virtio',
}

/** XML for `virsh create`. */
export const libvirtDomain = (record: MachineRecord, options: LibvirtDomainOptions): string => {
  const { vm } = record
  const name = options.name ?? `${textOf(vm, 'name') ?? 'machine'}-recovered`
  const memoryKib = Math.ceil((integerOf(vm, 'memory') ?? 1024 ** 3) / 1024)
  const bios = textOf(objectOf(vm, 'bios') ?? {}, 'type') ?? 'q35_sea_bios'
  const isWindows = (textOf(objectOf(vm, 'os') ?? {}, 'type') ?? '').startsWith('windows')
  const lines = [
    `<domain type='kvm'>`,
    `  <name>${encodeXml(name)}</name>`,
    `  <description>Runs from snapshot ${encodeXml(options.snapshotId)}, outside the management of its engine.</description>`,
    `  <memory unit='KiB'>${memoryKib}</memory>`,
    ...cpuLines(objectOf(vm, 'cpu') ?? {}),
    ...firmwareLines(bios),
    '  <features>',
    '    <acpi/>',
    '    <apic/>',
    ...(bios === 'q35_secure_boot' ? [`    <smm state='on'/>`] : []),
    '  </features>',
    `  <clock offset='${isWindows ? 'localtime' : 'utc'}'/>`,
    '  <devices>',
    ...diskLines(record.disks, options.disks),
    `    <controller type='scsi' index='0' model='virtio-scsi'/>`,
    ...record.nics.flatMap(nic => nicLines(nic, options.network)),
    `    <serial type='pty'/>`,
    `    <console type='pty'/>`,
    `    <input type='tablet' bus='usb'/>`,
    `    <graphics type='vnc' autoport='yes' listen='127.0.0.1'/>`,
    `    <video><model type='vga'/></video>`,
    `    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>`,
    ...(textOf(vm, 'tpm_enabled') === 'true'
      ? [`    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>`]
      : []),
    '  </devices>',
    '</domain>',
  ]
  return `${lines.join('\n')}\n`
}

const cpuLines = (cpu: Json): string[] => {
  const topology = objectOf(cpu, 'topology') ?? {}
  const [sockets, cores, threads] = ['sockets', 'cores', 'threads'].map(name =>
    Math.max(1, integerOf(topology, name) ?? 1),
  )
  const count = (sockets as number) * (cores as number) * (threads as number)
  return [
    `  <vcpu>${count}</vcpu>`,
    `  <cpu mode='host-model'><topology sockets='${sockets}' cores='${cores}' threads='${threads}'/></cpu>`,
  ]
}

const firmwareLines = (bios: string): string[] => {
  const machine = bios === 'i440fx_sea_bios' ? 'pc' : 'q35'
  if (bios !== 'q35_ovmf' && bios !== 'q35_secure_boot')
    return ['  <os>', `    <type arch='x86_64' machine='${machine}'>hvm</type>`, '  </os>']
  const isSecure = bios === 'q35_secure_boot' ? 'yes' : 'no'
  return [
    `  <os firmware='efi'>`,
    `    <type arch='x86_64' machine='q35'>hvm</type>`,
    '    <firmware>',
    `      <feature enabled='${isSecure}' name='secure-boot'/>`,
    '    </firmware>',
    '  </os>',
  ]
}

const diskLines = (disks: readonly MachineDisk[], served: readonly DomainDisk[]): string[] => {
  const counts = new Map<string, number>()
  return disks.flatMap(disk => {
    const found = served.find(({ name }) => name === disk.name)
    if (found === undefined) return []
    const { bus, prefix } = BUSES[disk.attachment.interface] ?? { bus: 'virtio', prefix: 'vd' }
    const index = counts.get(prefix) ?? 0
    counts.set(prefix, index + 1)
    const host =
      'socketPath' in found.server
        ? `transport='unix' socket='${attribute(found.server.socketPath)}'`
        : `name='${attribute(found.server.host)}' port='${found.server.port}'`
    return [
      `    <disk type='network' device='disk'>`,
      `      <driver name='qemu' type='raw' discard='unmap'/>`,
      `      <source protocol='nbd' name='${attribute(found.exportName)}'>`,
      `        <host ${host}/>`,
      '      </source>',
      `      <target dev='${prefix}${driveLetters(index)}' bus='${bus}'/>`,
      ...(disk.attachment.isBootable ? [`      <boot order='1'/>`] : []),
      ...(disk.attachment.isReadOnly ? ['      <readonly/>'] : []),
      '    </disk>',
    ]
  })
}

/** `a`, `z`, `aa`: as Linux names drives. */
const driveLetters = (index: number): string =>
  (index >= 26 ? driveLetters(Math.floor(index / 26) - 1) : '') + String.fromCharCode(97 + (index % 26))

const nicLines = (nic: MachineNic, network: string | undefined): string[] => [
  network === undefined ? `    <interface type='user'>` : `    <interface type='network'>`,
  ...(network === undefined ? [] : [`      <source network='${attribute(network)}'/>`]),
  `      <model type='${attribute(NIC_MODELS[nic.interface] ?? nic.interface)}'/>`,
  ...(nic.isLinked && nic.isPlugged ? [] : [`      <link state='down'/>`]),
  '    </interface>',
]

/** Between single quotes. */
const attribute = (value: string): string => encodeXml(value).replaceAll("'", '&apos;')
