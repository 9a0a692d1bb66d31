/** What every variable of a key begins with. */
export const variablePrefix = 'GATEBOOK_SECURITY_';
