/** Loading of prebuilt native parts: absent on platforms their makers did not build for, which is no error here. @module */

/** What `load` gives, or undefined where the module, or its prebuilt binary for this platform, is missing. */
export const loadOptional = <Module>(load: () => Module): Module | undefined => {
  try {
    return load()
  } catch {
    return undefined
  }
}
