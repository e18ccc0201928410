"""What is wrong with the rows we were given? Found, said, mended or refused; never lost."""
