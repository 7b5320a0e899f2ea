/** Which volume a name of a device means. @module */
import type { Volume } from '../volume.ts'

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase()

/** `/dev/mapper` doubles the dashes of a name, and puts one between group and volume. */
const mapperName = (lv: string): string =>
  lv
    .split('/')
    .map(part => part.replaceAll('-', '--'))
    .join('-')

const TAGS: Readonly<Record<string, (volume: Volume, value: string) => boolean>> = {
  UUID: (volume, value) => same(volume.uuid, value),
  LABEL: ({ label }, value) => label === value,
  PARTUUID: ({ source, kind }, value) => kind === 'partition' && same(source.partitionUuid, value),
  PARTLABEL: ({ source, kind }, value) => kind === 'partition' && source.partitionName === value,
}

/** `/dev/disk/by-…` in the words of fstab. */
const BY_FOLDER: Readonly<Record<string, string>> = {
  'by-uuid': 'UUID',
  'by-label': 'LABEL',
  'by-partuuid': 'PARTUUID',
  'by-partlabel': 'PARTLABEL',
}

/** Disks in the order in which the guest most likely sees them: sda, vda, xvda, nvme0n1 is the first. */
const DISK_NAME = /^\/dev\/(?:(?:[shv]|xv)d([a-z])(\d*)|nvme(\d+)n1(?:p(\d+))?)$/

/** All readable volumes that a device of fstab may be: one, when all is well. */
export const findDevice = (
  volumes: readonly Volume[],
  device: string,
  crypttab: ReadonlyMap<string, string> = new Map(),
): Volume[] => {
  const encrypted = crypttab.get(/^\/dev\/mapper\/(.+)$/.exec(device)?.[1] ?? '')
  if (encrypted !== undefined) return insideOf(volumes, matching(volumes, encrypted))
  return matching(volumes, device).filter(({ whyNot }) => whyNot === undefined)
}

/** What is unlocked of containers. */
const insideOf = (volumes: readonly Volume[], containers: readonly Volume[]): Volume[] =>
  volumes.filter(({ source, whyNot }) => whyNot === undefined && containers.some(({ id }) => id === source.container))

const matching = (volumes: readonly Volume[], device: string): Volume[] => {
  const [, folder = '', linked = ''] = /^\/dev\/disk\/([^/]+)\/(.+)$/.exec(device) ?? []
  const tagText = BY_FOLDER[folder] === undefined ? device : `${BY_FOLDER[folder]}=${linked}`
  const [, tag = '', quoted = ''] = /^([A-Z]+)=(.*)$/.exec(tagText) ?? []
  const value = quoted.replace(/^"(.*)"$/, '$1')
  const byTag = TAGS[tag]
  if (byTag !== undefined) return volumes.filter(volume => byTag(volume, value))
  return volumes.filter(volume => isDevice(volume, device))
}

const isDevice = ({ kind, source }: Volume, device: string): boolean => {
  const { lv, partition } = source
  if (kind === 'lv' && lv !== undefined) return device === `/dev/mapper/${mapperName(lv)}` || device === `/dev/${lv}`
  const [, letter, number, nvme, nvmePartition] = DISK_NAME.exec(device) ?? []
  const disk = letter === undefined ? Number(nvme) : letter.charCodeAt(0) - 97
  if (source.disks[0] !== disk) return false
  const wanted = number || nvmePartition
  return wanted ? kind === 'partition' && partition === Number(wanted) : kind === 'whole'
}
