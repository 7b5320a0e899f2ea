/** Drive letters as Windows keeps them: the key MountedDevices of the hive SYSTEM. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { Fields } from '../format/fields.ts'
import { guidText } from '../format/uuid.ts'
import { openHive } from '../registry/hive.ts'
import type { RegistryValue } from '../registry/hive.ts'
import type { FileTree } from '../tree.ts'
import type { Volume } from '../volume.ts'
import type { WarningLog } from '../warnings.ts'
import { openIfThere } from './guest-file.ts'

const LETTER = /^\\DosDevices\\([A-Z]:)$/i

/** Before the GUID of a GPT partition. */
const GPT_MARK = 'DMIO:ID:'

/** The volume of each letter, of those that are here. */
export const windowsDrives = async (
  system: FileTree,
  volumes: readonly Volume[],
  warnings: WarningLog,
  options: AbortOptions,
): Promise<Map<string, Volume>> => {
  const drives = new Map<string, Volume>()
  for (const { name, data } of await mountedDevices(system, warnings, options)) {
    const letter = LETTER.exec(name)?.[1]?.toUpperCase()
    const volume = letter === undefined ? undefined : volumes.find(candidate => isDevice(candidate, data))
    if (letter === undefined || volume === undefined) continue // A CD drive, or a disk that isn't here.
    if (volume.whyNot === undefined) drives.set(letter, volume)
    else warnings.add(letter, `volume ${volume.id} can't be read: ${volume.whyNot.message}`)
  }
  return drives
}

const mountedDevices = async (
  system: FileTree,
  warnings: WarningLog,
  options: AbortOptions,
): Promise<readonly RegistryValue[]> => {
  const where = '/Windows/System32/config/SYSTEM'
  const file = await openIfThere(system, system.root, where, options)
  if (file === undefined) return []
  try {
    return (await (await openHive(file, options)).values(['MountedDevices'], options)) ?? []
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!isGranaryError(error)) throw error
    warnings.addError(where, error)
    return []
  }
}

/** 12 bytes: signature of the disk and offset of the partition; 24: a mark and the GUID of a partition. */
const isDevice = ({ kind, source }: Volume, data: RegistryValue['data']): boolean => {
  if (kind !== 'partition' || source.partitionUuid === undefined) return false
  const fields = new Fields(data, 'MountedDevices')
  if (data.length === 24 && fields.ascii(0, 8) === GPT_MARK)
    return guidText(fields.slice(8, 16)) === source.partitionUuid
  if (data.length !== 12) return false
  const signature = fields.u32(0).toString(16).padStart(8, '0')
  return source.partitionUuid.startsWith(`${signature}-`) && fields.big64(4) === BigInt(source.offset ?? -1)
}
