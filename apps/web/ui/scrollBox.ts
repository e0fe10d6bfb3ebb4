/**
 * What a box that scrolls needs so that a keyboard can scroll it (WCAG 2.1.1): a stop in the tab order, and a role to
 * carry its name. A group and not a region, because a page full of landmarks has none.
 */
export const SCROLL_BOX = { role: 'group', tabIndex: 0 } as const;
