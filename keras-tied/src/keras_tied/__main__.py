"""``python -m keras_tied``, as the command ``keras-tied``."""

from keras_tied.article.command import main

if __name__ == "__main__":
    main()
