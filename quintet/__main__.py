"""`python -m quintet COMMAND`."""

from quintet import main

if __name__ == "__main__":
    main()
