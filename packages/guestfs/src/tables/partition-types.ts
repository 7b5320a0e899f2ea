/** What a partition's type says where its content says nothing. @module */
import type { WhyNot } from '../volume.ts'

const TYPES: Readonly<Record<string, string>> = {
  '42': 'a part of a dynamic disk of Windows (LDM)',
  'af9b60a0-1431-4f62-bc68-3311714a69ad': 'a part of a dynamic disk of Windows (LDM)',
  '5808c8aa-7e8f-42e0-85d2-e1e90434cfb3': 'the database of a dynamic disk of Windows (LDM)',
  'e75caf8f-f680-4cee-afa3-b001e56efc2d': 'a part of a Storage Spaces pool',
}

export const partitionTypeWhyNot = (type: string | undefined): WhyNot | undefined => {
  const message = TYPES[type ?? '']
  return message === undefined ? undefined : { reason: 'unsupported', message: `${message}: not read by this version` }
}
