/**
 * What an OVF of the engine's dialect says of a machine.
 *
 * @see docs/formats/ovirt-machine.md, "OVF"
 * @module
 */
import { GranaryError } from '@granary/core'
import { attributeOf, childrenOf, elements, localName, parseXml, textOf } from './xml.ts'
import type { XmlElement } from './xml.ts'

export interface OvfSummary {
  readonly vmId: string
  readonly name: string
  readonly disks: readonly OvfDisk[]
  /** What only an OVF brings back: `tpm`, `nvram`. */
  readonly externalData: readonly string[]
}

export interface OvfDisk {
  readonly diskId: string
  /** The volume: the layer of the disk that is written to. */
  readonly volumeId: string
  readonly alias: string
}

const MAX_DISKS = 1024

/** @throws GranaryError as `parseXml`; `GRANARY_CORRUPT` when it describes no machine */
export const readOvf = (xml: string): OvfSummary => {
  const { all, content, vmId } = openOvf(xml)
  const references = all.filter(element => localName(element.name) === 'Disk').slice(0, MAX_DISKS)
  const data = all.filter(element => isSection(element, 'VmExternalDataSection_Type'))
  return {
    vmId,
    name: childrenOf(content, 'Name').map(textOf)[0] ?? '',
    disks: references.map(disk => {
      const [diskId = '', volumeId = ''] = (attributeOf(disk, 'fileRef') ?? '').split('/', 2)
      return { diskId, volumeId, alias: attributeOf(disk, 'disk-alias') ?? '' }
    }),
    externalData: data.flatMap(section =>
      [...elements(section.children)].flatMap(item => attributeOf(item, 'kind') ?? []),
    ),
  }
}

/** The parts that reading and editing begin with. */
export const openOvf = (
  xml: string,
): { nodes: ReturnType<typeof parseXml>; all: XmlElement[]; content: XmlElement; vmId: string } => {
  const nodes = parseXml(xml)
  const all = [...elements(nodes)]
  const content = all.find(element => localName(element.name) === 'Content')
  const system = all.find(element => isSection(element, 'OperatingSystemSection_Type'))
  const vmId = system === undefined ? undefined : attributeOf(system, 'id')
  if (localName(all[0]?.name ?? '') === 'Envelope' && content !== undefined && vmId !== undefined)
    return { nodes, all, content, vmId }
  throw new GranaryError('GRANARY_CORRUPT', 'the OVF describes no machine of this platform', {
    hint: 'the machine can still be made from its other records: restore without its OVF',
  })
}

/** Sections are told apart by `xsi:type`. */
export const isSection = (element: XmlElement, type: string): boolean =>
  localName(element.name) === 'Section' && (attributeOf(element, 'type') ?? '').endsWith(type)
