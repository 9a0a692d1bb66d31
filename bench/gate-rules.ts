/** Twenty rules, as an operator would add them to the shipped policy. */
export const rules = {
  deny: [
    'exec:rm -rf *',
    'exec:git push --force *',
    'exec:npm publish *',
    'exec:docker system prune *',
    'exec:terraform destroy *',
    'exec:kubectl delete *',
    'exec:ssh *',
    'exec:scp *',
    'tool:db/drop_*',
    'tool:mail/send_*',
  ],
  ask: ['exec:git push *', 'exec:curl *', 'exec:wget *', 'tool:db/write_*', 'tool:files/write_*'],
  allow: ['exec:npm test', 'exec:npm run *', 'exec:git status', 'exec:make *', 'tool:web/search'],
};

/** The same rules in the environment of a gate. */
export const ruleVariables = Object.fromEntries(
  Object.entries(rules).map(([list, patterns]) => [
    `GATEBOOK_SECURITY_POLICY_${list.toUpperCase()}`,
    JSON.stringify(patterns),
  ]),
);

/** Limits that every call meets and none is refused by. */
export const limitVariables = {
  GATEBOOK_SECURITY_RATE_LIMITING_ENABLED: 'true',
  GATEBOOK_SECURITY_RATE_LIMITING_REQUESTS_PER_MINUTE: '1000000',
  GATEBOOK_SECURITY_RATE_LIMITING_TOOL_EXECUTIONS_PER_MINUTE: '1000000',
};
