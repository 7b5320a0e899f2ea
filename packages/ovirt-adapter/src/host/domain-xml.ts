/** What a domain's description says of its disks. @see libvirt.org/formatdomain.html, "Hard drives, floppy disks, CDROMs" @module */
import { XMLParser } from 'fast-xml-parser'
import { GranaryError } from '@granary/core'

export interface DomainDisk {
  /** Name inside the domain, such as `vda`. */
  readonly target: string
  /** File or device that is written to; undefined for a network disk and an empty drive. */
  readonly path: string | undefined
  readonly format: string
  /** On these platforms the id of the disk. */
  readonly serial: string | undefined
  readonly device: string
  /** A device of block storage, not a file. */
  readonly isDevice: boolean
  readonly isReadOnly: boolean
  readonly isShareable: boolean
}

export interface Domain {
  readonly uuid: string
  readonly name: string
  readonly disks: readonly DomainDisk[]
}

type Node = Readonly<Record<string, unknown>>

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  processEntities: true,
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (_name, path) => path === 'domain.devices.disk',
})

/** @throws GranaryError `GRANARY_PROTOCOL` when it is no description of a domain */
export const parseDomain = (xml: string): Domain => {
  const domain = nodeOf(nodeOf(parser.parse(xml)), 'domain')
  const uuid = textOf(domain?.['uuid'])
  const name = textOf(domain?.['name'])
  if (domain === undefined || uuid === undefined || name === undefined)
    throw new GranaryError('GRANARY_PROTOCOL', 'libvirt gave no description of a domain', {
      detail: { start: xml.slice(0, 100) },
    })
  const disks = nodeOf(domain, 'devices')?.['disk']
  return { uuid, name, disks: (Array.isArray(disks) ? disks : []).flatMap(disk => diskOf(disk)) }
}

const diskOf = (value: unknown): DomainDisk[] => {
  const disk = nodeOf(value)
  const target = textOf(nodeOf(disk, 'target')?.['@dev'])
  if (disk === undefined || target === undefined) return []
  const source = nodeOf(disk, 'source')
  return [
    {
      target,
      path: textOf(source?.['@file']) ?? textOf(source?.['@dev']),
      format: textOf(nodeOf(disk, 'driver')?.['@type']) ?? 'raw',
      serial: textOf(disk['serial']),
      device: textOf(disk['@device']) ?? 'disk',
      isDevice: textOf(source?.['@file']) === undefined && textOf(source?.['@dev']) !== undefined,
      isReadOnly: 'readonly' in disk,
      isShareable: 'shareable' in disk,
    },
  ]
}

const nodeOf = (value: unknown, name?: string): Node | undefined => {
  const node = name === undefined ? value : (value as Node | undefined)?.[name]
  return typeof node === 'object' && node !== null ? (node as Node) : undefined
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
}

/** Text for an attribute or an element. */
export const escapeXml = (text: string): string =>
  text.replaceAll(/[&<>'"]/g, character => ESCAPES[character] as string)
