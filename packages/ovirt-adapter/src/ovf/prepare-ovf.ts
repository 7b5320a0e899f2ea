/**
 * Makes an OVF fit for a new machine. Its own disks and NICs go out of it: the engine would look for disks of the old ids and
 * take the old MACs, and a restore attaches its own. What names things of the old engine goes as well.
 *
 * @see docs/formats/ovirt-machine.md, "OVF"
 * @module
 */
import { isSection, openOvf } from './read-ovf.ts'
import { childrenOf, elements, localName, setAttribute, setText, textOf, writeXml } from './xml.ts'
import type { XmlElement, XmlNode } from './xml.ts'

export interface PrepareOvfOptions {
  /** The new machine's id, chosen by us: after a lost answer it tells whether the machine was made. */
  readonly vmId: string
  readonly name: string
  /** Keep cloud-init's and sysprep's settings. @default false */
  readonly withInitialization?: boolean
}

/** `rasd:ResourceType` of what a restore makes itself. */
const DISK = '17'
const NIC = '10'

/** Sections that speak of the old engine's users and snapshots. */
const FOREIGN_SECTIONS = [
  'UserDomainsSection_Type',
  'SnapshotsSection_Type',
  'AffinityGroupsSection_Type',
  'AffinityLabelsSection_Type',
]

/** Set at the end of a restore, or naming hosts and domains of the old engine. */
const FOREIGN_ELEMENTS = new Set([
  'VmLease',
  'DedicatedVmForVds',
  'quota_id',
  'CreatedByUserId',
  'CustomCompatibilityVersion',
])

/** @throws GranaryError as `readOvf` */
export const prepareOvf = (xml: string, { vmId, name, withInitialization = false }: PrepareOvfOptions): string => {
  const { nodes, all, content } = openOvf(xml)
  prune(nodes, withInitialization)
  for (const element of all) if (isSection(element, 'OperatingSystemSection_Type')) setAttribute(element, 'id', vmId)
  for (const element of childrenOf(content, 'Name')) setText(element, name)
  for (const flag of ['DeleteProtected', 'AutoStartup', 'IsStateless'])
    for (const element of childrenOf(content, flag)) setText(element, 'false')
  return writeXml(nodes)
}

const prune = (nodes: XmlNode[], withInitialization: boolean): void => {
  const kept = nodes.filter(node => node.kind !== 'element' || !isForeign(node, withInitialization))
  nodes.splice(0, nodes.length, ...kept)
  for (const node of kept) if (node.kind === 'element') prune(node.children, withInitialization)
}

const isForeign = (element: XmlElement, withInitialization: boolean): boolean => {
  const name = localName(element.name)
  if (name === 'Item') return [DISK, NIC].includes(resourceTypeOf(element))
  if (name === 'Section') return FOREIGN_SECTIONS.some(type => isSection(element, type))
  return (
    name === 'File' ||
    name === 'Disk' ||
    name === 'Network' ||
    FOREIGN_ELEMENTS.has(name) ||
    (name === 'VmInit' && !withInitialization)
  )
}

const resourceTypeOf = (item: XmlElement): string =>
  [...elements(item.children)].filter(({ name }) => localName(name) === 'ResourceType').map(textOf)[0] ?? ''
