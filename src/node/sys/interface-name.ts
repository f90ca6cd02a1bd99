/** What an interface may be called: the kernel takes 15 bytes, without a slash or a space. A comma separates several. */
export function isInterfaceName(text: string): boolean {
  return /^[^\s/,]{1,15}$/.test(text);
}
