"""Papers, claim by claim: what each says, how it is tested here, and what was found."""
